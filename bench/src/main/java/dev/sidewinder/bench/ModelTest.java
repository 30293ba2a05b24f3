package dev.sidewinder.bench;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// What is timed, in the notation of llama.cpp's own benchmark.
sealed interface ModelTest {

    /// `pp512`: one prompt, the logits of its last token.
    record Prefill(int tokens) implements ModelTest {
        @Override
        public String toString() {
            return "pp" + tokens;
        }
    }

    /// `tg64@2048` or `par8x32@64`: single tokens of one or more sequences after prompts that are not timed.
    ///
    /// @param sequences sequences in one batch
    /// @param steps     tokens of each
    /// @param depth     tokens of each prompt
    record Decode(int sequences, int steps, int depth) implements ModelTest {
        @Override
        public String toString() {
            return (sequences == 1 ? "tg" : "par" + sequences + "x") + steps + "@" + depth;
        }
    }

    Pattern FORM = Pattern.compile("pp(\\d{1,7})|(?:tg|par(\\d{1,4})x)(\\d{1,6})@(\\d{1,7})");

    /// Reads the notation.
    static ModelTest parse(String text) {
        Matcher matcher = FORM.matcher(text);
        if (!matcher.matches()) {
            throw new IllegalArgumentException("\"" + text + "\" is no test; expected pp512, tg64@64 or par8x32@64");
        }
        if (matcher.group(1) != null) {
            return new Prefill(Integer.parseInt(matcher.group(1)));
        }
        int sequences = matcher.group(2) == null ? 1 : Integer.parseInt(matcher.group(2));
        return new Decode(sequences, Integer.parseInt(matcher.group(3)), Integer.parseInt(matcher.group(4)));
    }

    /// Sequences at once.
    default int width() {
        return switch (this) {
            case Prefill _ -> 1;
            case Decode decode -> decode.sequences();
        };
    }

    /// Tokens of one sequence at the end.
    default int length() {
        return switch (this) {
            case Prefill prefill -> prefill.tokens();
            case Decode decode -> decode.depth() + decode.steps();
        };
    }
}
