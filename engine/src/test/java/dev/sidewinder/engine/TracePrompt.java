package dev.sidewinder.engine;

import java.util.Random;

/// The tokens of a prompt, by what they are drawn from, so that a trace can be written down and made smaller.
///
/// @param beginning which of a few beginnings it shares with other prompts
/// @param common    tokens of it
/// @param length    in all, at least one
/// @param seed      of the tokens behind the beginning
/// @param poisonAt  where the token stands that makes the model compute NaN; -1 = nowhere
public record TracePrompt(int beginning, int common, int length, long seed, int poisonAt) {

    public TracePrompt {
        if (length < 1 || common < 0 || common > length || poisonAt >= length) {
            throw new IllegalArgumentException("a prompt of " + length + " tokens, of which " + common + " are shared, with poison at " + poisonAt);
        }
    }

    /// Nothing shared, no poison.
    public static TracePrompt of(int length, long seed) {
        return new TracePrompt(0, 0, length, seed, -1);
    }

    /// @param poisonToken that stands nowhere else; -1 = there is none
    int[] tokens(int vocabSize, int poisonToken) {
        int[] tokens = new int[length];
        Random shared = new Random(beginning);
        Random own = new Random(seed);
        for (int place = 0; place < length; place++) {
            int token = (place < common ? shared : own).nextInt(vocabSize);
            tokens[place] = token == poisonToken ? 0 : token;
        }
        if (poisonAt >= 0 && poisonToken >= 0) {
            tokens[poisonAt] = poisonToken;
        }
        return tokens;
    }

    /// The first tokens of it.
    TracePrompt cutTo(int tokens) {
        return new TracePrompt(beginning, Math.min(common, tokens), tokens, seed, poisonAt < tokens ? poisonAt : -1);
    }
}
