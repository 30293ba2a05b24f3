package dev.sidewinder.server.api.answer;

import dev.sidewinder.model.tokenizer.TextRun;
import java.util.ArrayList;
import java.util.List;

/// A prompt as the model would get it.
///
/// @param text        null for token ids of a model without tokenizer
/// @param tokens      not to be written
/// @param specialRuns where in the text special tokens are recognised: what the template wrote, never what came in a
///                    message
public record RenderedPrompt(String text, int[] tokens, List<Run> specialRuns) {

    /// Characters (code points) `start` to `end`, exclusive.
    public record Run(int start, int end) {}

    public RenderedPrompt {
        specialRuns = List.copyOf(specialRuns);
    }

    /// The prompt that a template made. Runs that touch are one.
    public static RenderedPrompt of(List<TextRun> runs, int[] tokens) {
        var text = new StringBuilder();
        List<Run> special = new ArrayList<>();
        int chars = 0;
        for (TextRun run : runs) {
            int end = chars + run.text().codePointCount(0, run.text().length());
            if (run.fromTemplate() && end > chars) {
                boolean touches = !special.isEmpty() && special.getLast().end() == chars;
                special.add(new Run(touches ? special.removeLast().start() : chars, end));
            }
            text.append(run.text());
            chars = end;
        }
        return new RenderedPrompt(text.toString(), tokens, special);
    }
}
