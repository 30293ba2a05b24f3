package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/// Device memory of one check of the expert kernels, freed together; and the small number formats on the host.
final class MoeMemory implements AutoCloseable {

    private static final float[] E2M1 = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    private static final float[] E4M3 = new float[256];

    static {
        for (int code = 0; code < E4M3.length; code++) {
            int exponent = code >> 3 & 15;
            float mantissa = (code & 7) / 8f;
            float magnitude = exponent == 0 ? Math.scalb(mantissa, -6) : Math.scalb(1 + mantissa, exponent - 7);
            E4M3[code] = (code & 0x7f) == 0x7f ? Float.NaN : code >= 128 ? -magnitude : magnitude;
        }
    }

    private final Device device;
    private final List<DeviceBuffer> buffers = new ArrayList<>();

    MoeMemory(Device device) {
        this.device = device;
    }

    /// Memory whose bytes are all 0xFF: NaN in every format, -1 as an integer.
    long unwritten(long bytes) {
        DeviceBuffer buffer = device.allocate(Math.max(bytes, 1));
        buffers.add(buffer);
        device.stream().fill(buffer.address(), (byte) 0xff, bytes);
        return buffer.address();
    }

    /// Pieces of bytes so far apart, and nothing in between, which takes no memory in the emulator.
    long uploadApart(byte[] values, long pieceBytes, int pieces, long stride) {
        DeviceBuffer buffer = device.allocate(stride * pieces);
        buffers.add(buffer);
        for (int i = 0; i < pieces; i++) {
            write(buffer.address() + i * stride, MemorySegment.ofArray(values).asSlice(i * pieceBytes, pieceBytes));
        }
        return buffer.address();
    }

    long upload(byte... values) {
        return upload(MemorySegment.ofArray(values));
    }

    long upload(float... values) {
        return upload(MemorySegment.ofArray(values));
    }

    long upload(int... values) {
        return upload(MemorySegment.ofArray(values));
    }

    long upload(long... values) {
        return upload(MemorySegment.ofArray(values));
    }

    long uploadBf16(float... values) {
        short[] bits = new short[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = bf16Bits(values[i]);
        }
        return upload(MemorySegment.ofArray(bits));
    }

    private long upload(MemorySegment values) {
        long address = unwritten(values.byteSize());
        write(address, values);
        return address;
    }

    void write(long address, MemorySegment values) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(Math.max(values.byteSize(), 1), 16);
            copy.asSlice(0, values.byteSize()).copyFrom(values);
            device.stream().copyToDevice(address, copy, values.byteSize());
            device.stream().synchronize();
        }
    }

    byte[] bytes(long address, int count) {
        byte[] values = new byte[count];
        read(address, MemorySegment.ofArray(values));
        return values;
    }

    float[] floats(long address, int count) {
        float[] values = new float[count];
        read(address, MemorySegment.ofArray(values));
        return values;
    }

    int[] ints(long address, int count) {
        int[] values = new int[count];
        read(address, MemorySegment.ofArray(values));
        return values;
    }

    long[] longs(long address, int count) {
        long[] values = new long[count];
        read(address, MemorySegment.ofArray(values));
        return values;
    }

    float[] bf16(long address, int count) {
        short[] bits = new short[count];
        read(address, MemorySegment.ofArray(bits));
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = Float.intBitsToFloat(bits[i] << 16);
        }
        return values;
    }

    float[] e4m3(long address, int count) {
        byte[] codes = bytes(address, count);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = e4m3Value(codes[i]);
        }
        return values;
    }

    private void read(long address, MemorySegment values) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(Math.max(values.byteSize(), 1), 16);
            device.stream().copyToHost(copy, address, values.byteSize());
            device.stream().synchronize();
            values.copyFrom(copy.asSlice(0, values.byteSize()));
        }
    }

    static short bf16Bits(float value) {
        if (Float.isNaN(value)) {
            return 0x7fff;
        }
        int bits = Float.floatToRawIntBits(value);
        return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
    }

    static float bf16(float value) {
        return Float.intBitsToFloat(bf16Bits(value) << 16);
    }

    static float bf16Value(byte low, byte high) {
        return Float.intBitsToFloat((high & 0xff) << 24 | (low & 0xff) << 16);
    }

    static float e4m3Value(byte code) {
        return E4M3[code & 0xff];
    }

    /// The value that rounding to e4m3 leaves: nearest, ties to the even code, at most 448.
    static float e4m3(float value) {
        if (Float.isNaN(value)) {
            return Float.NaN;
        }
        float magnitude = Math.min(Math.abs(value), 448);
        int exponent = Math.max(Math.getExponent(magnitude), -6);
        double step = Math.scalb(1.0, exponent - 3);
        return (float) Math.copySign(Math.rint(magnitude / step) * step, value);
    }

    static float e2m1Value(int code) {
        return (code & 8) != 0 ? -E2M1[code & 7] : E2M1[code & 7];
    }

    @Override
    public void close() {
        device.synchronize();
        buffers.forEach(DeviceBuffer::close);
    }
}
