package dev.sidewinder.cuda.device;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;

/// Compares a product of cuBLAS with sums in double precision, on any device.
public final class BlasCheck {

    /// Sums of some thousand products in fp32, in an order that is the library's own.
    private static final double TOLERANCE_F32 = 2e-5;
    /// Half a unit of the last place: 7 bits behind the point.
    private static final double TOLERANCE_BF16 = Math.scalb(1.0, -8) + TOLERANCE_F32;

    private final Device device;
    private final Blas blas;

    public BlasCheck(Device device, Blas blas) {
        this.device = device;
        this.blas = blas;
    }

    /// @throws AssertionError naming the worst value
    public void check(Blas.Result result, int rows, int columns, int inner, long seed) {
        Random random = new Random(seed);
        float[] x = bf16Values(rows * inner, random);
        float[] w = bf16Values(columns * inner, random);
        float[] before = bf16Values(rows * columns, random);
        float[] found = run(result, rows, columns, inner, x, w, before);

        double tolerance = result == Blas.Result.BF16 ? TOLERANCE_BF16 : TOLERANCE_F32;
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < columns; column++) {
                int at = row * columns + column;
                double expected = result == Blas.Result.ADDED_TO_F32 ? before[at] : 0;
                double size = Math.abs(expected);
                for (int i = 0; i < inner; i++) {
                    double product = (double) x[row * inner + i] * w[column * inner + i];
                    expected += product;
                    size += Math.abs(product);
                }
                // A sum may cancel; its error is bounded by what was summed.
                double bound = result == Blas.Result.BF16 ? tolerance * Math.abs(expected) + TOLERANCE_F32 * size : tolerance * size;
                if (!(Math.abs(found[at] - expected) <= bound)) {
                    throw new AssertionError("%s of %d x %d by %d, seed %d: row %d, column %d is %s, expected %s".formatted(
                            result, rows, inner, columns, seed, row, column, found[at], expected));
                }
            }
        }
    }

    private float[] run(Blas.Result result, int rows, int columns, int inner, float[] x, float[] w, float[] before) {
        boolean isBf16 = result == Blas.Result.BF16;
        try (Arena arena = Arena.ofConfined();
                DeviceBuffer xMemory = upload(bf16Bits(arena, x));
                DeviceBuffer wMemory = upload(bf16Bits(arena, w));
                DeviceBuffer y = upload(isBf16 ? bf16Bits(arena, before) : arena.allocateFrom(JAVA_FLOAT, before))) {
            blas.multiply(device.stream(),
                    new Blas.Product(y.address(), result, xMemory.address(), wMemory.address(), rows, columns, inner));
            MemorySegment back = arena.allocate(y.bytes(), 16);
            device.stream().copyToHost(back, y.address(), y.bytes());
            device.stream().synchronize();
            if (!isBf16) {
                return back.toArray(JAVA_FLOAT);
            }
            float[] values = new float[rows * columns];
            for (int i = 0; i < values.length; i++) {
                values[i] = Float.intBitsToFloat(back.getAtIndex(JAVA_SHORT, i) << 16);
            }
            return values;
        }
    }

    private DeviceBuffer upload(MemorySegment data) {
        DeviceBuffer buffer = device.allocate(data.byteSize());
        device.stream().copyToDevice(buffer.address(), data, data.byteSize());
        device.stream().synchronize();
        return buffer;
    }

    private static float[] bf16Values(int count, Random random) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = Float.intBitsToFloat(Float.floatToIntBits((float) random.nextGaussian()) & 0xffff0000);
        }
        return values;
    }

    private static MemorySegment bf16Bits(Arena arena, float[] values) {
        short[] bits = new short[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = (short) (Float.floatToIntBits(values[i]) >>> 16);
        }
        return arena.allocateFrom(JAVA_SHORT, bits);
    }
}
