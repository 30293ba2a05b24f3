package dev.sidewinder.cuda.kernel;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// Device memory of a check of the attention kernels: filled from arrays, read back, and freed together.
final class CheckMemory implements AutoCloseable {

    private final Device device;
    private final List<DeviceBuffer> buffers = new ArrayList<>();

    CheckMemory(Device device) {
        this.device = device;
    }

    Device device() {
        return device;
    }

    /// Memory whose bytes are all 0xFF: NaN in every format, -1 as an integer.
    long unwritten(long bytes) {
        DeviceBuffer buffer = device.allocate(Math.max(bytes, 1));
        buffers.add(buffer);
        device.stream().fill(buffer.address(), (byte) 0xff, buffer.bytes());
        return buffer.address();
    }

    long zeros(long bytes) {
        long address = unwritten(bytes);
        device.stream().fill(address, (byte) 0, Math.max(bytes, 1));
        return address;
    }

    long upload(int[] values) {
        return upload(MemorySegment.ofArray(values));
    }

    long upload(byte[] values) {
        return upload(MemorySegment.ofArray(values));
    }

    /// As the type says, rounded to it.
    long upload(ActivationRows.Type type, float[] values) {
        return switch (type) {
            case F32 -> upload(MemorySegment.ofArray(values));
            case BF16 -> {
                short[] bits = new short[values.length];
                for (int i = 0; i < bits.length; i++) {
                    bits[i] = SmallFloats.bf16Bits(values[i]);
                }
                yield upload(MemorySegment.ofArray(bits));
            }
        };
    }

    private long upload(MemorySegment values) {
        long address = unwritten(values.byteSize());
        write(address, values);
        return address;
    }

    void write(long address, int[] values) {
        write(address, MemorySegment.ofArray(values));
    }

    private void write(long address, MemorySegment values) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(values.byteSize(), 16).copyFrom(values);
            device.stream().copyToDevice(address, copy, values.byteSize());
            device.stream().synchronize();
        }
    }

    int[] ints(long address, int count) {
        try (Arena arena = Arena.ofConfined()) {
            return read(arena, address, 4L * count).toArray(JAVA_INT);
        }
    }

    float[] floats(long address, int count) {
        try (Arena arena = Arena.ofConfined()) {
            return read(arena, address, 4L * count).toArray(JAVA_FLOAT);
        }
    }

    short[] shorts(long address, int count) {
        try (Arena arena = Arena.ofConfined()) {
            return read(arena, address, 2L * count).toArray(JAVA_SHORT);
        }
    }

    byte[] bytes(long address, int count) {
        try (Arena arena = Arena.ofConfined()) {
            return read(arena, address, count).toArray(JAVA_BYTE);
        }
    }

    private MemorySegment read(Arena arena, long address, long bytes) {
        MemorySegment copy = arena.allocate(bytes, 16);
        device.stream().copyToHost(copy, address, bytes);
        device.stream().synchronize();
        return copy;
    }

    @Override
    public void close() {
        device.synchronize();
        buffers.forEach(DeviceBuffer::close);
        buffers.clear();
    }
}
