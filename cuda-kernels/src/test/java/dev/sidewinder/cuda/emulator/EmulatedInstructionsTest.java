package dev.sidewinder.cuda.emulator;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.offset;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.kernel.Arguments;
import dev.sidewinder.cuda.kernel.LaunchShape;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The emulated instructions against plain references: fragment layouts, number formats, lanes, atomics.
class EmulatedInstructionsTest {

    private static final long SEED = 20251122;
    private static final int RANDOM_FLOATS = 1_000_000;
    /// Sums of 16 or 32 products of formats with at most 11 significant bits, in fp32: one rounding of 2^-24 each.
    private static final double FP32_SUM = 32 * 0x1p-24;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private final Random random = new Random(SEED);

    private Arguments kernel(String name) {
        return emulator.kernels().get("emulator_instructions", name).arguments();
    }

    private DeviceBuffer upload(short[] values) {
        Device device = emulator.device();
        DeviceBuffer buffer = device.allocate(2L * values.length);
        try (Arena arena = Arena.ofConfined()) {
            device.stream().copyToDevice(buffer.address(), arena.allocateFrom(JAVA_SHORT, values), buffer.bytes());
            device.stream().synchronize();
        }
        return buffer;
    }

    private DeviceBuffer upload(byte[] values) {
        Device device = emulator.device();
        DeviceBuffer buffer = device.allocate(values.length);
        try (Arena arena = Arena.ofConfined()) {
            device.stream().copyToDevice(buffer.address(), arena.allocateFrom(JAVA_BYTE, values), buffer.bytes());
            device.stream().synchronize();
        }
        return buffer;
    }

    private static LaunchShape oneWarp(int sharedBytes) {
        return new LaunchShape(1, 1, 1, 32, sharedBytes);
    }

    // ---- number formats, by their definitions --------------------------------------------------------------------------

    private static double bf16(int code) {
        return Float.intBitsToFloat(code << 16);
    }

    private static double f16(int code) {
        return Float.float16ToFloat((short) code);
    }

    private static double e4m3(int code) {
        int exponent = code >> 3 & 15;
        int fraction = code & 7;
        double magnitude = (code & 0x7f) == 0x7f ? Double.NaN
                : exponent == 0 ? fraction * 0x1p-9 : (8 + fraction) * Math.scalb(1.0, exponent - 10);
        return (code & 0x80) == 0 ? magnitude : -magnitude;
    }

    private static double decode(int kind, int code) {
        return switch (kind) {
            case 0 -> bf16(code);
            case 1 -> f16(code);
            case 2, 3, 4 -> e4m3(code & 255);
            default -> e4m3(255 - (code & 255));
        };
    }

    /// The nearest of the values with `bits` significant bits that are multiples of `smallest`, ties to even.
    private static double nearest(double x, int bits, double smallest) {
        if (x == 0 || Double.isNaN(x) || Double.isInfinite(x)) {
            return x;
        }
        double unit = Math.max(smallest, Math.scalb(1.0, Math.getExponent(x) - bits + 1));
        return Math.rint(x / unit) * unit;
    }

    private static double roundTo(int kind, double x) {
        return switch (kind % 3) {
            case 0 -> {
                double rounded = nearest(x, 8, 0x1p-133);
                yield Math.abs(rounded) >= 0x1p128 ? Math.copySign(Double.POSITIVE_INFINITY, x) : rounded;
            }
            case 1 -> {
                double rounded = nearest(x, 11, 0x1p-24);
                yield Math.abs(rounded) >= 65536 ? Math.copySign(Double.POSITIVE_INFINITY, x) : rounded;
            }
            default -> {
                double rounded = nearest(x, 4, 0x1p-9);
                yield Math.abs(rounded) > 448 ? Math.copySign(448, x) : rounded;
            }
        };
    }

    @ParameterizedTest
    @CsvSource({"0, 65536", "1, 65536", "2, 256", "3, 256", "4, 256", "5, 256", "6, 256"})
    void everyCodeHasItsValue(int kind, int codes) {
        Device device = emulator.device();
        try (DeviceBuffer y = device.allocate(4L * codes)) {
            kernel("decode").pointer(y.address()).int32(codes).int32(kind)
                    .launch(device.stream(), new LaunchShape((codes + 127) / 128, 1, 1, 128, 0));
            float[] values = Floats.download(y, device);
            for (int code = 0; code < codes; code++) {
                assertSame(values[code], decode(kind, code), "code " + code);
            }
        }
    }

    /// Floats of every magnitude, the borders of the formats, and everything half-way between neighbours.
    private float[] interestingFloats() {
        float[] values = new float[RANDOM_FLOATS];
        for (int i = 0; i < values.length; i++) {
            values[i] = switch (i % 4) {
                case 0 -> Float.intBitsToFloat(random.nextInt());
                case 1 -> (float) (random.nextGaussian() * Math.scalb(1.0, random.nextInt(40) - 28));
                // Exactly half-way between two values of bf16, f16 or e4m3, or beside it.
                case 2 -> Float.intBitsToFloat((random.nextInt() & ~0xffff | 0x8000) + random.nextInt(3) - 1);
                default -> Float.intBitsToFloat((random.nextInt(0x60 << 23) & ~0xfffff | 0x80000) + random.nextInt(3) - 1);
            };
        }
        float[] special = {0, -0.0f, 448, 449, 463.99997f, 464, 464.00003f, 480, -500, 65504, 65519.996f, 65520, -65536,
            Float.MAX_VALUE, Float.MIN_VALUE, Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 0x1p-6f, 0x1.ep-7f,
            0x1.fp-7f, 0x1.fffffep-7f, 0x1p-9f, 0x1p-10f, 0x1.000002p-10f, 0x1p-24f, 0x1p-25f, 0x1.000002p-25f, 0x1p-14f,
            0x1.ffcp-15f, 0x1.ffep-15f, 0x1.fffp-15f, 0x1p-133f, 0x1p-134f};
        System.arraycopy(special, 0, values, 0, special.length);
        return values;
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5})
    void conversionsRoundToTheNearestEven(int kind) {
        Device device = emulator.device();
        float[] values = interestingFloats();
        int count = values.length;
        try (DeviceBuffer x = Floats.upload(device, values); DeviceBuffer y = device.allocate(8L * count)) {
            kernel("round_f32").pointer(y.address()).pointer(x.address()).int32(count).int32(kind)
                    .launch(device.stream(), new LaunchShape((count + 127) / 128, 1, 1, 128, 0));
            float[] rounded = Floats.download(y, device);
            for (int i = 0; i < count; i++) {
                assertSame(rounded[i], roundTo(kind, values[i]), values[i]);
                if (kind >= 3) {
                    assertSame(rounded[count + i], roundTo(kind, values[count - 1 - i]), values[count - 1 - i]);
                }
            }
        }
    }

    /// The same value, sign of a zero included; every NaN is the same. Plain, because millions are compared.
    private static void assertSame(float found, double expected, Object of) {
        if (Double.compare(found, expected) != 0) {
            throw new AssertionError("of " + of + ": found " + found + ", expected " + expected);
        }
    }

    // ---- fragments -----------------------------------------------------------------------------------------------------

    /// d = c + a bᵀ with a [16, k] and b [8, k].
    private static double[] product(double[] a, double[] b, double[] c, int k) {
        double[] d = c.clone();
        for (int row = 0; row < 16; row++) {
            for (int column = 0; column < 8; column++) {
                for (int i = 0; i < k; i++) {
                    d[row * 8 + column] += a[row * k + i] * b[column * k + i];
                }
            }
        }
        return d;
    }

    private static void assertClose(float[] found, double[] expected, double[] magnitude) {
        for (int i = 0; i < expected.length; i++) {
            assertThat((double) found[i]).as("element (%d, %d)", i / 8, i % 8)
                    .isCloseTo(expected[i], offset(magnitude[i] * FP32_SUM + 1e-30));
        }
    }

    private static double[] magnitudes(double[] a, double[] b, double[] c, int k) {
        return product(absolute(a), absolute(b), absolute(c), k);
    }

    private static double[] absolute(double[] values) {
        double[] result = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            result[i] = Math.abs(values[i]);
        }
        return result;
    }

    private float[] gaussians(int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    private static double[] wide(float[] values) {
        double[] result = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            result[i] = values[i];
        }
        return result;
    }

    private short[] codes16(int count, int kind) {
        short[] codes = new short[count];
        for (int i = 0; i < count; i++) {
            float value = (float) random.nextGaussian();
            codes[i] = kind == 0 ? (short) (Float.floatToRawIntBits(value) >>> 16) : Float.floatToFloat16(value);
        }
        return codes;
    }

    private static double[] decodeAll(short[] codes, DoubleUnaryOperator value) {
        double[] result = new double[codes.length];
        for (int i = 0; i < codes.length; i++) {
            result[i] = value.applyAsDouble(codes[i] & 0xffff);
        }
        return result;
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void productsOf16BitFragmentsFollowTheManualsLayout(int kind) {
        Device device = emulator.device();
        short[] a = codes16(256, kind);
        short[] b = codes16(128, kind);
        float[] c = gaussians(128);
        DoubleUnaryOperator value = code -> kind == 0 ? bf16((int) code) : f16((int) code);
        try (DeviceBuffer bufferA = upload(a); DeviceBuffer bufferB = upload(b); DeviceBuffer bufferC = Floats.upload(device, c);
                DeviceBuffer d = device.allocate(512)) {
            kernel("product_16bit").pointer(d.address()).pointer(bufferA.address()).pointer(bufferB.address())
                    .pointer(bufferC.address()).int32(kind).launch(device.stream(), oneWarp(0));

            double[] left = decodeAll(a, value);
            double[] right = decodeAll(b, value);
            assertClose(Floats.download(d, device), product(left, right, wide(c), 16), magnitudes(left, right, wide(c), 16));
        }
    }

    @Test
    void productsOfE4m3FragmentsFollowTheManualsLayout() {
        Device device = emulator.device();
        byte[] a = new byte[512];
        byte[] b = new byte[256];
        double[] left = new double[512];
        double[] right = new double[256];
        for (int i = 0; i < 512; i++) {
            a[i] = (byte) (random.nextInt(0x7f) | random.nextInt(2) << 7);
            left[i] = e4m3(a[i] & 255);
        }
        for (int i = 0; i < 256; i++) {
            b[i] = (byte) (random.nextInt(0x7f) | random.nextInt(2) << 7);
            right[i] = e4m3(b[i] & 255);
        }
        float[] c = gaussians(128);
        try (DeviceBuffer bufferA = upload(a); DeviceBuffer bufferB = upload(b); DeviceBuffer bufferC = Floats.upload(device, c);
                DeviceBuffer d = device.allocate(512)) {
            kernel("product_e4m3").pointer(d.address()).pointer(bufferA.address()).pointer(bufferB.address())
                    .pointer(bufferC.address()).launch(device.stream(), oneWarp(0));
            assertClose(Floats.download(d, device), product(left, right, wide(c), 32), magnitudes(left, right, wide(c), 32));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void ldmatrixFeedsTheProduct(int transposed) {
        Device device = emulator.device();
        short[] a = codes16(256, 0);
        short[] b = codes16(128, 0);
        short[] given = b.clone();
        if (transposed == 1) {
            for (int n = 0; n < 8; n++) {
                for (int k = 0; k < 16; k++) {
                    given[k * 8 + n] = b[n * 16 + k];
                }
            }
        }
        try (DeviceBuffer bufferA = upload(a); DeviceBuffer bufferB = upload(given); DeviceBuffer d = device.allocate(512)) {
            kernel("product_by_ldmatrix").pointer(d.address()).pointer(bufferA.address()).pointer(bufferB.address())
                    .int32(transposed).launch(device.stream(), oneWarp(1024));
            double[] left = decodeAll(a, code -> bf16((int) code));
            double[] right = decodeAll(b, code -> bf16((int) code));
            double[] zeros = new double[128];
            assertClose(Floats.download(d, device), product(left, right, zeros, 16), magnitudes(left, right, zeros, 16));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void ldmatrixGivesEachLaneItsTwoElements(int transposed) {
        Device device = emulator.device();
        short[] x = new short[256];
        for (int i = 0; i < 256; i++) {
            x[i] = (short) i;
        }
        try (DeviceBuffer source = upload(x); DeviceBuffer y = device.allocate(512)) {
            kernel("load_matrices").pointer(y.address()).pointer(source.address()).int32(transposed)
                    .launch(device.stream(), oneWarp(512));
            int[] words = Floats.downloadInts(y, device);
            for (int lane = 0; lane < 32; lane++) {
                for (int matrix = 0; matrix < 4; matrix++) {
                    for (int half = 0; half < 2; half++) {
                        int row = lane / 4;
                        int column = 2 * (lane % 4) + half;
                        int expected = matrix * 64 + (transposed == 1 ? column * 8 + row : row * 8 + column);
                        assertThat(words[lane * 4 + matrix] >>> 16 * half & 0xffff).isEqualTo(expected);
                    }
                }
            }
        }
    }

    // ---- lanes and atomics ---------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(ints = {32, 16, 8, 4})
    void shufflesStayWithinTheirSegment(int width) {
        Device device = emulator.device();
        try (DeviceBuffer y = device.allocate(4 * 32 * 12)) {
            kernel("lanes").pointer(y.address()).int32(width).launch(device.stream(), oneWarp(0));
            int[] result = Floats.downloadInts(y, device);
            for (int lane = 0; lane < 32; lane++) {
                int begin = lane / width * width;
                int same = 0;
                int thirds = 0;
                for (int other = 0; other < 32; other++) {
                    same |= other % 7 == lane % 7 ? 1 << other : 0;
                    thirds |= other % 3 == 0 ? 1 << other : 0;
                }
                int partner = lane ^ 5;
                assertThat(Arrays.copyOfRange(result, lane * 12, lane * 12 + 12)).as("lane " + lane).containsExactly(
                        begin + 5 % width,
                        lane - 3 >= begin ? lane - 3 : lane,
                        lane + 3 < begin + width ? lane + 3 : lane,
                        partner < begin + width ? partner : lane,
                        thirds, 1, 1, 0,
                        Integer.bitCount(0xf0f00001 >>> lane),
                        lane + 1,
                        31 - lane,
                        same);
            }
        }
    }

    @Test
    void atomicsOfManyBlocksAddUpAndTheLastBlockSeesAll() {
        Device device = emulator.device();
        int blocks = 200;
        try (DeviceBuffer y = Floats.uploadInts(device, new int[6]); DeviceBuffer wide = Floats.uploadInts(device, 0, 0)) {
            kernel("atomics").pointer(y.address()).pointer(wide.address()).int32(blocks)
                    .launch(device.stream(), new LaunchShape(blocks, 1, 1, 64, 0));
            int[] result = Floats.downloadInts(y, device);
            int threads = 64 * blocks;
            assertThat(result).containsExactly(threads, 2 * threads, Float.floatToRawIntBits(0.5f * threads), threads - 1,
                    threads, blocks);
            assertThat(Floats.downloadInts(wide, device)).containsExactly(0, threads);
        }
    }
}
