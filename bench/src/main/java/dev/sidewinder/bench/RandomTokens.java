package dev.sidewinder.bench;

/// The stream of random tokens that peers/llamacpp/peerbench.c feeds too: all experts get work, and both engines the same.
/// Source: xorshift64, Marsaglia 2003, with the shifts 13, 7, 17.
final class RandomTokens {

    private static final long SEED = 88172645463325252L;
    private static final long REPEAT_STRIDE = 7919;

    private final int vocabSize;
    private long state;

    /// @param repeat number of the repeat; each has its own tokens
    RandomTokens(int vocabSize, int repeat) {
        this.vocabSize = vocabSize;
        this.state = SEED + repeat * REPEAT_STRIDE;
    }

    int next() {
        state ^= state << 13;
        state ^= state >>> 7;
        state ^= state << 17;
        return (int) Long.remainderUnsigned(state, vocabSize);
    }
}
