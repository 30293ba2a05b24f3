package dev.sidewinder.engine.cuda;

/// Cuts a piece of device memory into parts that begin at multiples of 256. Asked once with a base of 0, to count, and once
/// with memory behind it: whoever takes parts does the same both times.
final class Region {

    private static final long ALIGNMENT = 256;

    private final long base;
    private long used;

    Region(long base) {
        this.base = base;
    }

    /// The address of the next `bytes` bytes.
    long take(long bytes) {
        long address = base + used;
        used += Math.ceilDiv(bytes, ALIGNMENT) * ALIGNMENT;
        return address;
    }

    /// Bytes taken so far.
    long used() {
        return used;
    }
}
