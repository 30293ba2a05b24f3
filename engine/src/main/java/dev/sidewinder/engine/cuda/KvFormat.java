package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.kernel.CacheType;

/// How keys and values are stored.
public enum KvFormat {
    BF16(CacheType.BF16),
    /// One byte each, with the scales of the checkpoint, or 1 where it has none.
    E4M3(CacheType.E4M3);

    private final CacheType type;

    KvFormat(CacheType type) {
        this.type = type;
    }

    CacheType type() {
        return type;
    }

    /// Bytes of an element.
    public int bytes() {
        return type.bytes();
    }
}
