package dev.sidewinder.model.grammar;

/// The tokens that may come next. Not to be changed by those who are given one.
public final class TokenMask {

    /// Whatever the model has.
    public static final TokenMask ALL = new TokenMask(new long[0]);

    private final long[] words;

    private TokenMask(long[] words) {
        this.words = words;
    }

    /// @param words bit `i % 64` of word `i / 64` stands for token `i`; taken over, not copied
    public static TokenMask of(long[] words) {
        return new TokenMask(words);
    }

    static int wordsFor(int tokens) {
        return (tokens + 63) >> 6;
    }

    /// One token and no other.
    public static TokenMask only(int token) {
        long[] words = new long[wordsFor(token + 1)];
        words[token >> 6] |= 1L << token;
        return new TokenMask(words);
    }

    /// All tokens of a vocabulary but some.
    public static TokenMask allBut(int vocabSize, Iterable<Integer> tokens) {
        long[] words = new long[wordsFor(vocabSize)];
        for (int token = 0; token < vocabSize; token++) {
            words[token >> 6] |= 1L << token;
        }
        for (int token : tokens) {
            if (token >= 0 && token < vocabSize) {
                words[token >> 6] &= ~(1L << token);
            }
        }
        return new TokenMask(words);
    }

    public boolean isAll() {
        return this == ALL;
    }

    public boolean allows(int token) {
        return isAll() || (token >> 6) < words.length && (words[token >> 6] >>> token & 1) != 0;
    }

    /// Bits of the tokens from `64 x index` on; tokens beyond the last word are not allowed. Not for [#ALL].
    public long word(int index) {
        return index < words.length ? words[index] : 0;
    }

    public int words() {
        return words.length;
    }
}
