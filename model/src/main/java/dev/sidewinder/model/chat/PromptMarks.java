package dev.sidewinder.model.chat;

import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.model.tokenizer.TextRun;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;

/// Finds the places in a rendered conversation from which the prompts after it go on.
///
/// Templates of the family open each turn with `<|im_start|>`, the role and a line break. That tag is a token of its own, so text is
/// cut there before it is tokenized: the tokens in front of a turn are the same whatever the turn holds, and its place in the text
/// is found again among the tokens by counting tags. Only tags that the template wrote count.
///
/// Which places are worth a state follows from what templates do with history: reasoning in front of the last user message is
/// dropped, so a prompt with a new user message is the same up to the *first* answer behind the user message before; a prompt with
/// another tool result is the same up to the end of the latest answer, and the very next one up to the start of the answer that is to
/// be generated.
final class PromptMarks {

    private static final String TURN_START = ControlTokens.TURN_START;
    private static final String TOOL_RESPONSE = ControlTokens.TOOL_RESPONSE_START;

    private enum Speaker {
        SYSTEM, USER, TOOL, ASSISTANT, OTHER
    }

    private PromptMarks() {}

    /// @param runs      the conversation as the template wrote it
    /// @param tokens    what the tokenizer made of it
    /// @param turnStart the token of `<|im_start|>`; without it there are no turns to tell apart
    /// @return by rising position; empty when text and tokens do not have the same turns
    static List<PromptMark> of(List<TextRun> runs, int[] tokens, OptionalInt turnStart) {
        List<Speaker> speakers = speakers(runs);
        int[] starts = turnStart.isPresent() ? positions(tokens, turnStart.getAsInt()) : new int[0];
        if (starts.length != speakers.size()) {
            return List.of();
        }
        List<PromptMark> marks = new ArrayList<>(4);
        if (speakers.size() > 1 && speakers.getFirst() == Speaker.SYSTEM) {
            marks.add(new PromptMark(starts[1], PromptMark.Kind.SYSTEM_END));
        }
        int lastUser = speakers.lastIndexOf(Speaker.USER);
        int first = nextAnswer(speakers, lastUser + 1);
        int last = speakers.lastIndexOf(Speaker.ASSISTANT);
        if (first < 0) {
            return marks;
        }
        marks.add(new PromptMark(starts[first], PromptMark.Kind.ANSWER_START));
        int end = lastAnswerBeforeTool(speakers, lastUser);
        if (end >= 0) {
            marks.add(new PromptMark(starts[end + 1], PromptMark.Kind.ANSWER_END));
        }
        if (last > first && last == speakers.size() - 1) {
            marks.add(new PromptMark(starts[last], PromptMark.Kind.ANSWER_START));
        }
        return marks;
    }

    private static int nextAnswer(List<Speaker> speakers, int from) {
        for (int i = from; i < speakers.size(); i++) {
            if (speakers.get(i) == Speaker.ASSISTANT) {
                return i;
            }
        }
        return -1;
    }

    private static int lastAnswerBeforeTool(List<Speaker> speakers, int lastUser) {
        for (int i = speakers.size() - 2; i > lastUser; i--) {
            if (speakers.get(i) == Speaker.ASSISTANT && speakers.get(i + 1) == Speaker.TOOL) {
                return i;
            }
        }
        return -1;
    }

    private static int[] positions(int[] tokens, int token) {
        int[] positions = new int[8];
        int count = 0;
        for (int i = 0; i < tokens.length; i++) {
            if (tokens[i] == token) {
                if (count == positions.length) {
                    positions = Arrays.copyOf(positions, 2 * count);
                }
                positions[count++] = i;
            }
        }
        return Arrays.copyOf(positions, count);
    }

    /// Who speaks, turn by turn. A role may come from the conversation's side; it is one of ours all the same.
    private static List<Speaker> speakers(List<TextRun> runs) {
        var text = new StringBuilder();
        var written = new StringBuilder();
        for (TextRun run : runs) {
            text.append(run.text());
            // what the conversation says is blotted out, so that no tag is found in it
            written.append(run.fromTemplate() ? run.text() : " ".repeat(run.text().length()));
        }
        List<Speaker> speakers = new ArrayList<>();
        for (int at = written.indexOf(TURN_START); at >= 0; at = written.indexOf(TURN_START, at + 1)) {
            speakers.add(speaker(text, written, at + TURN_START.length()));
        }
        return speakers;
    }

    private static Speaker speaker(StringBuilder text, StringBuilder written, int from) {
        int lineEnd = text.indexOf("\n", from);
        if (lineEnd < 0) {
            return Speaker.OTHER;
        }
        return switch (text.substring(from, lineEnd)) {
            case "system" -> Speaker.SYSTEM;
            case "assistant" -> Speaker.ASSISTANT;
            case "tool" -> Speaker.TOOL;
            case "user" -> startsWith(written, TOOL_RESPONSE, lineEnd + 1) ? Speaker.TOOL : Speaker.USER;
            default -> Speaker.OTHER;
        };
    }

    private static boolean startsWith(StringBuilder text, String tag, int from) {
        return from + tag.length() <= text.length() && text.substring(from, from + tag.length()).equals(tag);
    }
}
