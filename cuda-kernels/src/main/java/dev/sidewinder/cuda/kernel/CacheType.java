package dev.sidewinder.cuda.kernel;

/// In which form keys and values are kept.
public enum CacheType {
    BF16(2),
    /// One byte with a scale per layer: what is read back is the number times its scale.
    E4M3(1);

    private final int bytes;

    CacheType(int bytes) {
        this.bytes = bytes;
    }

    public int bytes() {
        return bytes;
    }
}
