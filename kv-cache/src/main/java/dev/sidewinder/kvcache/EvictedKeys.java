package dev.sidewinder.kvcache;

/// A bounded memory of what was evicted, by the hash of its prefix. Later keys take the places of earlier ones. It only
/// explains; nothing relies on it.
final class EvictedKeys {

    private static final int PLACES = 1 << 13;

    /// 0 where there is none; the one key that is 0 is not remembered.
    private final long[] keys = new long[PLACES];

    void add(long key) {
        keys[place(key)] = key;
    }

    boolean contains(long key) {
        return key != 0 && keys[place(key)] == key;
    }

    private static int place(long key) {
        return (int) (key >>> 40) & PLACES - 1;
    }
}
