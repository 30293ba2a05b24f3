package dev.sidewinder.kvcache;

import java.util.stream.LongStream;

/// How long random tests run, and with which seeds: `-Dsidewinder.test.operations=1000000` for a night,
/// `-Dsidewinder.test.seed=7` to repeat one seed.
final class RandomTests {

    private static final int ORDINARY_OPERATIONS = 10_000;
    private static final int SEEDS = 4;

    private RandomTests() {}

    /// Operations of one test with one seed.
    static int operations() {
        return Integer.getInteger("sidewinder.test.operations", ORDINARY_OPERATIONS);
    }

    static long[] seeds() {
        Long seed = Long.getLong("sidewinder.test.seed");
        return seed == null ? LongStream.rangeClosed(1, SEEDS).toArray() : new long[] {seed};
    }
}
