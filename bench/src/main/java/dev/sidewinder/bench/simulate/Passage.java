package dev.sidewinder.bench.simulate;

/// A run of tokens that always is the same where its name is the same: a system prompt, a message, a document.
///
/// @param content its name; two passages of the same name begin with the same tokens
/// @param tokens  its length
record Passage(String content, int tokens) {

    Passage {
        if (content.isEmpty() || tokens < 0) {
            throw new IllegalArgumentException("a passage \"" + content + "\" of " + tokens + " tokens; it has a name and no fewer than 0");
        }
    }

    /// Where the tokens of a content come from.
    static long seed(String content) {
        long hash = 0xcbf29ce484222325L;  // FNV-1a, mixed afterwards
        for (int i = 0; i < content.length(); i++) {
            hash = (hash ^ content.charAt(i)) * 0x100000001b3L;
        }
        return mixed(hash);
    }

    /// A token of a content, in `[0, 2^17)`. The finaliser of MurmurHash3 over a counter.
    static int token(long seed, int place) {
        return (int) (mixed(seed + place * 0x9e3779b97f4a7c15L) >>> 47);
    }

    private static long mixed(long value) {
        long z = value;
        z = (z ^ z >>> 33) * 0xff51afd7ed558ccdL;
        z = (z ^ z >>> 33) * 0xc4ceb9fe1a85ec53L;
        return z ^ z >>> 33;
    }
}
