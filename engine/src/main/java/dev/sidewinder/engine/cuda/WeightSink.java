package dev.sidewinder.engine.cuda;

/// Where weights go, one behind the other. Asked twice in the same order: once to count, once to upload.
interface WeightSink {

    /// Every reservation begins at a multiple of this.
    int ALIGNMENT = 256;

    /// Sets bytes aside and says where they begin.
    long reserve(long bytes);

    /// Fills reserved memory.
    void fill(long address, WeightSource source);

    default long put(WeightSource source) {
        long address = reserve(source.bytes());
        fill(address, source);
        return address;
    }

    static long aligned(long bytes) {
        return Math.ceilDiv(bytes, (long) ALIGNMENT) * ALIGNMENT;
    }

    /// Counts and reads nothing. Its addresses are as good as real ones to whoever checks them.
    final class Counting implements WeightSink {

        private long used = ALIGNMENT;

        @Override
        public long reserve(long bytes) {
            long address = used;
            used += aligned(bytes);
            return address;
        }

        @Override
        public void fill(long address, WeightSource source) {}

        long bytes() {
            return used - ALIGNMENT;
        }
    }
}
