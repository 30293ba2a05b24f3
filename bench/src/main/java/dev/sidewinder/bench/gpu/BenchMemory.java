package dev.sidewinder.bench.gpu;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.device.Stream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/// Device memory of one operator, filled with random numbers and freed together. Random: tensors of zeros need less power
/// and run faster than real ones.
final class BenchMemory implements AutoCloseable {

    private static final long POOL_BYTES = 16L << 20;
    private static final long ALIGNMENT = 256;

    /// A number format and how 64 random bits become numbers of it: none is NaN or infinite, and sums of some thousand
    /// products stay ordinary.
    enum Kind {
        /// ± 2^-7 to 2^-3
        BF16(0x81FF_81FF_81FF_81FFL, 0x3C00_3C00_3C00_3C00L),
        /// every code below 2
        E4M3(0xBFBF_BFBF_BFBF_BFBFL, 0),
        /// ± 2^-3 to 2
        F32(0x81FF_FFFF_81FF_FFFFL, 0x3E00_0000_3E00_0000L),
        /// two e2m1 codes in a byte
        E2M1(-1, 0);

        private final long kept;
        private final long set;

        Kind(long kept, long set) {
            this.kept = kept;
            this.set = set;
        }

        long of(long random) {
            return random & kept | set;
        }
    }

    /// Random numbers that all tensors are copied from, each from another place on. One of each kind for a run.
    static final class Pool implements AutoCloseable {

        private final Device device;
        private final SplittableRandom random;
        private final Map<Kind, DeviceBuffer> buffers = new EnumMap<>(Kind.class);

        Pool(Device device, long seed) {
            this.device = device;
            this.random = new SplittableRandom(seed);
        }

        private DeviceBuffer of(Kind kind) {
            return buffers.computeIfAbsent(kind, this::make);
        }

        private DeviceBuffer make(Kind kind) {
            DeviceBuffer buffer = device.allocate(POOL_BYTES);
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment numbers = arena.allocate(POOL_BYTES, ALIGNMENT);
                for (long at = 0; at < POOL_BYTES; at += Long.BYTES) {
                    numbers.set(ValueLayout.JAVA_LONG, at, kind.of(random.nextLong()));
                }
                device.stream().copyToDevice(buffer.address(), numbers, POOL_BYTES);
                device.stream().synchronize();
            }
            return buffer;
        }

        private void fill(Kind kind, long target, long bytes) {
            DeviceBuffer pool = of(kind);
            for (long done = 0; done < bytes; ) {
                long from = random.nextLong(POOL_BYTES / 2 / ALIGNMENT) * ALIGNMENT;
                long count = Math.min(bytes - done, POOL_BYTES - from);
                device.stream().copy(target + done, pool.address() + from, count);
                done += count;
            }
        }

        @Override
        public void close() {
            buffers.values().forEach(DeviceBuffer::close);
            buffers.clear();
        }
    }

    private final Pool pool;
    private final Stream stream;
    private final List<DeviceBuffer> buffers = new ArrayList<>();

    BenchMemory(Pool pool) {
        this.pool = pool;
        this.stream = pool.device.stream();
    }

    SplittableRandom random() {
        return pool.random;
    }

    private long allocate(long bytes) {
        DeviceBuffer buffer = pool.device.allocate(Math.max(bytes, 1));
        buffers.add(buffer);
        return buffer.address();
    }

    long zeros(long bytes) {
        long address = allocate(bytes);
        stream.fill(address, (byte) 0, Math.max(bytes, 1));
        return address;
    }

    /// So many bytes of random numbers.
    long random(Kind kind, long bytes) {
        long address = allocate(bytes);
        pool.fill(kind, address, bytes);
        return address;
    }

    long bf16(long count) {
        return random(Kind.BF16, 2 * count);
    }

    long e4m3(long count) {
        return random(Kind.E4M3, count);
    }

    long f32(long count) {
        return random(Kind.F32, 4 * count);
    }

    long ints(int... values) {
        return upload(MemorySegment.ofArray(values));
    }

    long floats(float... values) {
        return upload(MemorySegment.ofArray(values));
    }

    /// @param values of native memory or an array
    long upload(MemorySegment values) {
        long address = allocate(values.byteSize());
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(Math.max(values.byteSize(), 1), Long.BYTES).copyFrom(values);
            stream.copyToDevice(address, copy, values.byteSize());
            stream.synchronize();
        }
        return address;
    }

    /// Waits for what uses the memory, then frees it.
    @Override
    public void close() {
        try {
            stream.synchronize();
        } finally {
            buffers.forEach(DeviceBuffer::close);
            buffers.clear();
        }
    }
}
