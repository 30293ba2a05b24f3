package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.model.chat.ChatPrompt;
import dev.sidewinder.model.chat.Message;
import dev.sidewinder.model.tokenizer.TextRun;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/// What a conversation's template writes of new messages behind a history that is there as tokens.
///
/// A template renders whole conversations. So the new messages are rendered behind a question and an answer that stand for the
/// history, and what the template wrote up to the end of that answer is cut off: turns begin with a token of their own, so the tokens
/// behind such a cut do not depend on what was in front of it.
final class NextTurn {

    /// Stand for all that was said before.
    private static final List<Message> EARLIER = List.of(Message.user("question"), Message.assistant("answer"));

    private final ChatFormat format;
    private final ModelText text;

    NextTurn(ChatFormat format, ModelText text) {
        this.format = format;
        this.text = text;
    }

    /// The new messages behind something that stands for the history.
    List<TextRun> render(Conversation conversation, Map<String, JsonNode> variables) {
        List<Message> messages = new ArrayList<>(EARLIER);
        messages.addAll(conversation.messages());
        return render(messages, variables, conversation.addGenerationPrompt());
    }

    /// The history and the new messages behind it.
    ///
    /// @param history tokens: ends with the end of a turn, or inside an answer that was cut short, whose turn is then closed
    /// @param runs    what [#render(Conversation, Map)] wrote with these variables
    int[] append(int[] history, List<TextRun> runs, Map<String, JsonNode> variables) {
        int earlier = turnStarts(text.encode(render(EARLIER, variables, false))).length;
        int[] tokens = text.encode(runs);
        int[] starts = turnStarts(tokens);
        if (earlier == 0 || starts.length <= earlier) {
            throw ApiErrors.invalid("unsupported_value", "session_id", "The chat template of this model writes no turns that a session "
                    + "could go on with; send the whole conversation without 'session_id'.");
        }
        int[] closing = closing(history);
        int from = starts[earlier];
        int[] all = Arrays.copyOf(history, history.length + closing.length + tokens.length - from);
        System.arraycopy(closing, 0, all, history.length, closing.length);
        System.arraycopy(tokens, from, all, history.length + closing.length, tokens.length - from);
        return all;
    }

    private List<TextRun> render(List<Message> messages, Map<String, JsonNode> variables, boolean open) {
        return format.render(new ChatPrompt(messages, List.of(), variables, open, false));
    }

    private int[] turnStarts(int[] tokens) {
        int start = format.control().turnStart().orElse(-1);
        int[] found = new int[tokens.length];
        int count = 0;
        for (int i = 0; i < tokens.length; i++) {
            if (tokens[i] == start) {
                found[count++] = i;
            }
        }
        return Arrays.copyOf(found, count);
    }

    /// What is missing at the end of a history for its last turn to be complete.
    private int[] closing(int[] history) {
        int[] lineBreak = text.encode(List.of(new TextRun("\n", true)));
        int end = format.control().turnEnd().orElse(-1);
        int last = history.length - 1;
        if (history[last] == end) {
            return lineBreak;
        }
        boolean closed = history.length > lineBreak.length && history[last - lineBreak.length] == end
                && Arrays.equals(history, history.length - lineBreak.length, history.length, lineBreak, 0, lineBreak.length);
        if (closed) {
            return new int[0];
        }
        int[] both = new int[1 + lineBreak.length];
        both[0] = end;
        System.arraycopy(lineBreak, 0, both, 1, lineBreak.length);
        return both;
    }
}
