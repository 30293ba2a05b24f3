package dev.sidewinder.engine;

/// Random numbers without a state: Philox4x32 with 10 rounds, a keyed bijection of a 128-bit counter. The key is the seed
/// of a request, the counter is choice and position, so a token's random number depends on nothing else: not on what runs
/// beside it, nor on how often a step was repeated.
///
/// Source: Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", §3.3 and table 2.
final class CounterRandom {

    private static final int ROUNDS = 10;
    private static final int MULTIPLIER_0 = 0xD2511F53;
    private static final int MULTIPLIER_1 = 0xCD9E8D57;
    private static final int KEY_STEP_0 = 0x9E3779B9;
    private static final int KEY_STEP_1 = 0xBB67AE85;

    private CounterRandom() {}

    /// 64 random bits for a position of a choice.
    static long bits(long seed, int choice, int position) {
        int[] counter = {position, choice, 0, 0};
        philox(counter, (int) seed, (int) (seed >>> 32));
        return counter[0] & 0xFFFFFFFFL | (long) counter[1] << 32;
    }

    /// Replaces the counter, four words, by its random words.
    static void philox(int[] counter, int key0, int key1) {
        for (int round = 0; round < ROUNDS; round++) {
            long product0 = (MULTIPLIER_0 & 0xFFFFFFFFL) * (counter[0] & 0xFFFFFFFFL);
            long product1 = (MULTIPLIER_1 & 0xFFFFFFFFL) * (counter[2] & 0xFFFFFFFFL);
            counter[0] = (int) (product1 >>> 32) ^ counter[1] ^ key0;
            counter[1] = (int) product1;
            counter[2] = (int) (product0 >>> 32) ^ counter[3] ^ key1;
            counter[3] = (int) product0;
            key0 += KEY_STEP_0;
            key1 += KEY_STEP_1;
        }
    }
}
