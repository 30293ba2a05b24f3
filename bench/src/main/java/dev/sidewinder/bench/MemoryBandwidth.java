package dev.sidewinder.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.concurrent.CyclicBarrier;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorSpecies;

/// How fast this machine reads memory: the limit that decoding runs against, since every weight in use is read once a
/// token. All processors sum their own slice of a block that no cache holds.
final class MemoryBandwidth {

    private static final long BLOCK_BYTES = 3L << 30;
    private static final long PAGE_BYTES = 4096;
    private static final VectorSpecies<Long> SPECIES = LongVector.SPECIES_PREFERRED;
    /// Sums in flight: enough to hide the latency of an addition.
    private static final int STREAMS = 4;

    private MemoryBandwidth() {}

    /// Reads the block once per repeat, after one warm-up, with `threads` threads.
    ///
    /// @return GB/s
    static Measurement measure(int threads, Measurement.Plan plan) throws Exception {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment block = arena.allocate(BLOCK_BYTES, PAGE_BYTES);
            block.fill((byte) 1);
            read(block, threads);
            return Measurement.of("memory read", "GB/s", plan, () -> read(block, threads));
        }
    }

    private static double read(MemorySegment block, int threads) throws Exception {
        long sliceBytes = BLOCK_BYTES / threads / PAGE_BYTES * PAGE_BYTES;
        long[] sums = new long[threads];
        var start = new CyclicBarrier(threads + 1);
        var workers = new Thread[threads];
        for (int i = 0; i < threads; i++) {
            MemorySegment slice = block.asSlice(i * sliceBytes, sliceBytes);
            int worker = i;
            workers[i] = Thread.ofPlatform().start(() -> {
                try {
                    start.await();
                    sums[worker] = sum(slice);
                } catch (Exception interrupted) {
                    throw new IllegalStateException("reading was interrupted", interrupted);
                }
            });
        }
        start.await();
        long began = System.nanoTime();
        for (Thread worker : workers) {
            worker.join();
        }
        double seconds = (System.nanoTime() - began) * 1e-9;
        for (long sum : sums) {
            if (sum != sliceBytes / Long.BYTES * 0x0101010101010101L) {
                throw new IllegalStateException("memory was read wrongly: a slice sums up to " + sum);
            }
        }
        return (double) sliceBytes * threads / seconds * 1e-9;
    }

    private static long sum(MemorySegment slice) {
        int lanes = SPECIES.length();
        long strideBytes = (long) STREAMS * lanes * Long.BYTES;
        int stepBytes = lanes * Long.BYTES;
        LongVector a = LongVector.zero(SPECIES);
        LongVector b = a;
        LongVector c = a;
        LongVector d = a;
        for (long at = 0; at < slice.byteSize(); at += strideBytes) {
            a = a.add(LongVector.fromMemorySegment(SPECIES, slice, at, ByteOrder.nativeOrder()));
            b = b.add(LongVector.fromMemorySegment(SPECIES, slice, at + stepBytes, ByteOrder.nativeOrder()));
            c = c.add(LongVector.fromMemorySegment(SPECIES, slice, at + 2L * stepBytes, ByteOrder.nativeOrder()));
            d = d.add(LongVector.fromMemorySegment(SPECIES, slice, at + 3L * stepBytes, ByteOrder.nativeOrder()));
        }
        return a.add(b).add(c).add(d).reduceLanes(jdk.incubator.vector.VectorOperators.ADD);
    }
}
