package dev.sidewinder.model.chat;

import dev.sidewinder.model.tokenizer.TextRun;
import java.util.ArrayList;
import java.util.List;

/// Finds where the last message of a rendered conversation ends, so that the model can go on in it.
///
/// As in transformers, the content gets a marker at its end, and the rendering is cut where the marker stands. The
/// marker ends in a blank: a template that trims takes it away, and then the blanks in front of the marker go too. (Only
/// those of the message; transformers takes the template's own as well when the message is empty.)
///
/// @param marker characters that Unicode keeps for private use, long enough to occur nowhere in the prompt
record FinalMessage(String marker) {
    private static final String MARK = "\uFDD0\uFDD1";

    static FinalMessage of(ChatPrompt prompt) {
        if (prompt.messages().isEmpty() || prompt.messages().getLast().role() != Message.Role.ASSISTANT) {
            throw new ChatTemplateException("only a final message of the assistant can be continued");
        }
        if (prompt.addGenerationPrompt()) {
            throw new ChatTemplateException("a prompt either continues the final message or opens a new one; ask for one of the two");
        }
        String texts = prompt.toString();
        StringBuilder mark = new StringBuilder(MARK);
        while (texts.contains(mark)) {
            mark.append(MARK);
        }
        return new FinalMessage(mark + " ");
    }

    /// What stands before the marker.
    List<TextRun> cut(List<TextRun> runs) {
        String mark = marker.strip();
        for (int i = runs.size() - 1; i >= 0; i--) {
            TextRun run = runs.get(i);
            int at = run.fromTemplate() ? -1 : run.text().lastIndexOf(mark);
            if (at >= 0) {
                String before = run.text().substring(0, at);
                boolean trimmed = !run.text().startsWith(marker, at);
                List<TextRun> kept = new ArrayList<>(runs.subList(0, i));
                kept.add(new TextRun(trimmed ? before.stripTrailing() : before, false));
                kept.removeIf(piece -> piece.text().isEmpty());
                return List.copyOf(kept);
            }
        }
        throw new ChatTemplateException("the template does not print the final message as it is, so it cannot be continued");
    }
}
