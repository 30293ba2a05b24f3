package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.model.chat.PromptMark;
import dev.sidewinder.model.tokenizer.TextRun;
import dev.sidewinder.scheduler.Mark;
import java.util.ArrayList;
import java.util.List;

/// Where the state of a prompt is worth keeping, by rising position.
final class CacheMarks {

    private CacheMarks() {}

    /// Of a conversation: where the format says that others may go on.
    ///
    /// @param runs as the template wrote them
    /// @param prompt their tokens
    static List<Mark> of(ChatFormat format, List<TextRun> runs, int[] prompt) {
        List<Mark> marks = new ArrayList<>();
        for (PromptMark mark : format.marks(runs, prompt)) {
            marks.add(new Mark(mark.position(), switch (mark.kind()) {
                case SYSTEM_END -> CheckpointPoint.SYSTEM;
                case ANSWER_START -> CheckpointPoint.TURN_START;
                case ANSWER_END -> CheckpointPoint.TURN_END;
            }));
        }
        return withEnd(marks, prompt.length);
    }

    /// Whether the next prompt of a conversation is likely to begin with this one and its answer: in a tool loop, and where the template
    /// has no reasoning to drop.
    static boolean answerStays(ChatCompletionRequest chat) {
        JsonNode truncates = chat.conversation().variables().get("truncate_history_thinking");
        return !chat.tools().tools().isEmpty() || !chat.thinking().enabled() || truncates != null && !truncates.asBoolean(true);
    }

    /// Of a text: its end. Whoever sends it again, or goes on from it, has that much in common with it.
    static List<Mark> of(int[] prompt) {
        return withEnd(List.of(), prompt.length);
    }

    /// A conversation that opens no turn, or goes on far into one, is kept at its end as a text is.
    private static List<Mark> withEnd(List<Mark> marks, int promptTokens) {
        if (!marks.isEmpty() && marks.getLast().position() > promptTokens - CacheShape.BLOCK_TOKENS) {
            return marks;
        }
        List<Mark> all = new ArrayList<>(marks);
        all.add(new Mark(promptTokens, CheckpointPoint.TURN_START));
        return all;
    }
}
