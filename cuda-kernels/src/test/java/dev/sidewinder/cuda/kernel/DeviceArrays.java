package dev.sidewinder.cuda.kernel;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// Arrays on a device for a check: uploaded or left unwritten, read back, and freed together.
final class DeviceArrays implements AutoCloseable {

    private static final int E4M3_BIAS = 7;

    private final Device device;
    private final List<DeviceBuffer> buffers = new ArrayList<>();

    DeviceArrays(Device device) {
        this.device = device;
    }

    Device device() {
        return device;
    }

    /// Memory whose bytes are all 0xFF: NaN in every format, -1 as an integer.
    long unwritten(long bytes) {
        DeviceBuffer buffer = device.allocate(Math.max(bytes, 1));
        buffers.add(buffer);
        device.stream().fill(buffer.address(), (byte) 0xff, bytes);
        return buffer.address();
    }

    long floats(float... values) {
        long address = unwritten(4L * values.length);
        write(address, MemorySegment.ofArray(values));
        return address;
    }

    /// Rounded to bf16.
    long bf16(float... values) {
        short[] bits = new short[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = bf16Bits(values[i]);
        }
        long address = unwritten(2L * bits.length);
        write(address, MemorySegment.ofArray(bits));
        return address;
    }

    long of(FloatFormat format, float... values) {
        return switch (format) {
            case BF16 -> bf16(values);
            case F32 -> floats(values);
        };
    }

    long ints(int... values) {
        long address = unwritten(4L * values.length);
        write(address, MemorySegment.ofArray(values));
        return address;
    }

    long longs(long... values) {
        long address = unwritten(8L * values.length);
        write(address, MemorySegment.ofArray(values));
        return address;
    }

    void write(long address, float[] values) {
        write(address, MemorySegment.ofArray(values));
    }

    void write(long address, int[] values) {
        write(address, MemorySegment.ofArray(values));
    }

    private void write(long address, MemorySegment values) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(Math.max(values.byteSize(), 1), 16);
            copy.asSlice(0, values.byteSize()).copyFrom(values);
            device.stream().copyToDevice(address, copy, values.byteSize());
            device.stream().synchronize();
        }
    }

    float[] readFloats(long address, int count) {
        try (Arena arena = Arena.ofConfined()) {
            return read(arena, address, 4L * count).toArray(JAVA_FLOAT);
        }
    }

    int[] readInts(long address, int count) {
        try (Arena arena = Arena.ofConfined()) {
            return read(arena, address, 4L * count).toArray(JAVA_INT);
        }
    }

    long[] readLongs(long address, int count) {
        try (Arena arena = Arena.ofConfined()) {
            return read(arena, address, 8L * count).toArray(JAVA_LONG);
        }
    }

    float[] readBf16(long address, int count) {
        short[] bits;
        try (Arena arena = Arena.ofConfined()) {
            bits = read(arena, address, 2L * count).toArray(JAVA_SHORT);
        }
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = Float.intBitsToFloat(bits[i] << 16);
        }
        return values;
    }

    float[] read(FloatFormat format, long address, int count) {
        return switch (format) {
            case BF16 -> readBf16(address, count);
            case F32 -> readFloats(address, count);
        };
    }

    float[] readE4m3(long address, int count) {
        byte[] codes;
        try (Arena arena = Arena.ofConfined()) {
            codes = read(arena, address, count).toArray(JAVA_BYTE);
        }
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = e4m3Value(codes[i]);
        }
        return values;
    }

    private MemorySegment read(Arena arena, long address, long bytes) {
        MemorySegment copy = arena.allocate(Math.max(bytes, 1), 16);
        device.stream().copyToHost(copy, address, bytes);
        device.stream().synchronize();
        return copy.asSlice(0, bytes);
    }

    /// Nearest even.
    static short bf16Bits(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) 0x7fff;
        }
        return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
    }

    static float bf16(float value) {
        return Float.intBitsToFloat(bf16Bits(value) << 16);
    }

    static float e4m3Value(byte code) {
        int exponent = code >> 3 & 15;
        int mantissa = code & 7;
        if ((code & 0x7f) == 0x7f) {
            return Float.NaN;
        }
        float magnitude = exponent == 0
                ? Math.scalb(mantissa / 8f, 1 - E4M3_BIAS)
                : Math.scalb(1 + mantissa / 8f, exponent - E4M3_BIAS);
        return code < 0 ? -magnitude : magnitude;
    }

    @Override
    public void close() {
        device.synchronize();
        buffers.forEach(DeviceBuffer::close);
        buffers.clear();
    }
}
