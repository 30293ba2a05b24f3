package dev.sidewinder.kvcache;

import java.util.random.RandomGenerator;

/// Hash of a block of tokens that follow a node. Two different inputs have the same hash with probability 2^-32 over the
/// choice of the keys, whatever the inputs are: nobody who does not know the keys can make lookups slow, and no lookup
/// relies on it to be right, since tokens are compared as well.
///
/// Source: Lemire and Kaser 2014 (arXiv:1202.4961), multilinear hashing.
final class BlockHash {

    private static final int TOKENS = CacheShape.BLOCK_TOKENS;

    private final long[] keys = new long[TOKENS + 2];

    /// @param random unpredictable in a server, seeded in a test
    BlockHash(RandomGenerator random) {
        for (int i = 0; i < keys.length; i++) {
            keys[i] = random.nextLong();
        }
    }

    /// @param parent node that the block follows
    /// @param from   where the block begins in `tokens`
    int of(int parent, int[] tokens, int from) {
        long sum = keys[TOKENS] * parent + keys[TOKENS + 1];
        for (int i = 0; i < TOKENS; i++) {
            sum += keys[i] * tokens[from + i];
        }
        return (int) (sum >>> 32);
    }

    /// Hash of a path that goes on with a block: for memories of paths whose nodes are gone.
    ///
    /// @param path hash of the path before
    long path(long path, int[] tokens, int from) {
        int block = of(0, tokens, from);
        long mixed = (path ^ block) * 0x9E3779B97F4A7C15L;
        return mixed ^ mixed >>> 29;
    }
}
