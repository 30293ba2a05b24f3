package dev.sidewinder.cuda.emulator;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sidewinder.cuda.device.CudaException;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.kernel.LaunchShape;
import java.lang.foreign.Arena;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Products of a warpgroup against plain ones: operands in swizzled tiles or in registers, and what happens to those who do
/// not wait. Whether the descriptors mean to a GPU what they mean here, only a GPU can tell.
class EmulatedWarpgroupTest {

    private static final long SEED = 90;
    private static final int ROWS = 64;
    private static final int ROW_BYTES = 128;
    /// Sums of up to 128 products that are exact in fp32: one rounding of 2^-24 each.
    private static final double FP32_SUM = 128 * 0x1p-24;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private final Random random = new Random(SEED);

    private enum Format {
        BF16, F16, E4M3;

        static Format of(String kernel) {
            return kernel.contains("bf16") ? BF16 : kernel.contains("f16") ? F16 : E4M3;
        }

        int depth() {
            return this == E4M3 ? ROW_BYTES : ROW_BYTES / 2;
        }
    }

    private byte[] operand(Format format, int rows) {
        byte[] bytes = new byte[rows * ROW_BYTES];
        for (int i = 0; i < bytes.length; i++) {
            if (format == Format.E4M3) {
                bytes[i] = (byte) (random.nextInt(0x60) | random.nextInt(2) << 7);
            } else if (i % 2 == 0) {
                float number = (float) random.nextGaussian();
                int code = format == Format.BF16 ? Float.floatToRawIntBits(number) >>> 16 : Float.floatToFloat16(number);
                bytes[i] = (byte) code;
                bytes[i + 1] = (byte) (code >>> 8);
            }
        }
        return bytes;
    }

    /// Number `index` of an operand, counted through its rows.
    private static double value(Format format, byte[] operand, int index) {
        if (format != Format.E4M3) {
            int bits = operand[2 * index] & 255 | (operand[2 * index + 1] & 255) << 8;
            return format == Format.BF16 ? Float.intBitsToFloat(bits << 16) : Float.float16ToFloat((short) bits);
        }
        int code = operand[index] & 255;
        int exponent = code >> 3 & 15;
        int fraction = code & 7;
        double magnitude = exponent == 0 ? fraction * 0x1p-9 : Math.scalb(8.0 + fraction, exponent - 10);
        return code < 128 ? magnitude : -magnitude;
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

    private float[] product(String kernel, int columns, byte[] a, byte[] b, boolean fromRegisters, int fault) {
        return launch(kernel, columns, a, b, fromRegisters ? 1 : 0, fault, (ROWS + columns) * ROW_BYTES);
    }

    private float[] launch(String kernel, int columns, byte[] a, byte[] b, int way, int fault, int sharedBytes) {
        Device device = emulator.device();
        try (DeviceBuffer left = upload(a); DeviceBuffer right = upload(b); DeviceBuffer d = device.allocate(4L * ROWS * columns)) {
            emulator.kernels().get("emulator_warpgroup", kernel).arguments().pointer(d.address()).pointer(left.address())
                    .pointer(right.address()).int32(way).int32(fault)
                    .launch(device.stream(), new LaunchShape(1, 1, 1, 128, sharedBytes));
            return Floats.download(d, device);
        }
    }

    /// Compares with plain loops; `byRows`: b is [depth, columns] instead of [columns, depth].
    private static void check(Format format, float[] d, int columns, byte[] a, byte[] b, boolean byRows, String what) {
        int depth = format.depth();
        for (int row = 0; row < ROWS; row++) {
            for (int column = 0; column < columns; column++) {
                double sum = 0;
                double magnitude = 0;
                for (int k = 0; k < depth; k++) {
                    double term = value(format, a, row * depth + k) * value(format, b, byRows ? k * columns + column : column * depth + k);
                    sum += term;
                    magnitude += Math.abs(term);
                }
                assertThat((double) d[row * columns + column]).as("(%d, %d), %s", row, column, what)
                        .isCloseTo(sum, within(magnitude * FP32_SUM + 1e-30));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "warpgroup_bf16_8, 8", "warpgroup_bf16_16, 16", "warpgroup_bf16_32, 32", "warpgroup_bf16_64, 64",
        "warpgroup_bf16_128, 128", "warpgroup_bf16_256, 256", "warpgroup_f16_64, 64", "warpgroup_f16_128, 128",
        "warpgroup_e4m3_8, 8", "warpgroup_e4m3_64, 64", "warpgroup_e4m3_256, 256"
    })
    void productsFollowTheManualsLayout(String kernel, int columns) {
        Format format = Format.of(kernel);
        byte[] a = operand(format, ROWS);
        byte[] b = operand(format, columns);
        for (boolean fromRegisters : new boolean[] {false, true}) {
            check(format, product(kernel, columns, a, b, fromRegisters, 0), columns, a, b, false, "a from registers: " + fromRegisters);
        }
    }

    /// Of an operand with N fastest, tiles of 64 columns lie side by side or apart.
    @ParameterizedTest
    @CsvSource({
        "warpgroup_by_rows_bf16_64, 64, 8192", "warpgroup_by_rows_bf16_128, 128, 8192", "warpgroup_by_rows_bf16_128, 128, 17408",
        "warpgroup_by_rows_f16_64, 64, 8192", "warpgroup_by_rows_f16_128, 128, 9216"
    })
    void productsWithAnOperandByRowsFollowTheManualsLayout(String kernel, int columns, int apart) {
        Format format = Format.of(kernel);
        byte[] a = operand(format, ROWS);
        byte[] b = operand(format, columns);
        check(format, launch(kernel, columns, a, b, apart, 0, 17_408 + 8_192), columns, a, b, true, "tiles " + apart + " apart");
    }

    @ParameterizedTest
    @ValueSource(strings = {"warpgroup_bf16_64", "warpgroup_e4m3_64", "warpgroup_f16_64"})
    void resultsThatNobodyWaitedForAreNaN(String kernel) {
        Format format = Format.of(kernel);
        float[] d = product(kernel, 64, operand(format, ROWS), operand(format, 64), false, 1);
        assertThat(d).containsOnly(Float.NaN);
    }

    @Test
    void tilesThatAreOverwrittenTooEarlyShow() {
        byte[] a = operand(Format.BF16, ROWS);
        byte[] b = operand(Format.BF16, 64);
        assertThat(product("warpgroup_bf16_64", 64, a, b, false, 2)).isNotEqualTo(product("warpgroup_bf16_64", 64, a, b, false, 0));
    }

    @Test
    void aTileThatIsNotAlignedIsReported() {
        assertThatThrownBy(() -> product("warpgroup_bf16_8", 8, operand(Format.BF16, ROWS), operand(Format.BF16, 16), false, 3))
                .isInstanceOf(CudaException.class)
                .hasMessageContaining("kernel warpgroup_bf16_8, block (0, 0, 0), thread (")
                .hasMessageMatching("(?s).*(not aligned to 1024 bytes|not in the block's shared memory|past the end).*");
    }

    @Test
    void aStepOfAnOperandByRowsThatIsNotAlignedIsReported() {
        assertThatThrownBy(() -> launch("warpgroup_by_rows_bf16_64", 64, operand(Format.BF16, ROWS), operand(Format.BF16, 64), 8_192, 3, 9_216))
                .hasMessageContaining("a step of K of the operand by rows, or its next columns, is not aligned to 1024 bytes");
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aMissingFenceInFrontOfProductsIsReported(boolean fromRegisters) {
        assertThatThrownBy(() -> product("warpgroup_bf16_64", 64, operand(Format.BF16, ROWS), operand(Format.BF16, 64), fromRegisters, 4))
                .hasMessageContaining("a product without wgmma_fence() in front of it")
                .hasMessageContaining("wgmma_bf16 in emulator_warpgroup.cu:");
    }

    @Test
    void aMissingFenceBehindAWaitIsReported() {
        assertThatThrownBy(() -> product("warpgroup_e4m3_64", 64, operand(Format.E4M3, ROWS), operand(Format.E4M3, 64), false, 5))
                .hasMessageContaining("a product without wgmma_fence() in front of it");
    }

    @Test
    void productsThatNobodyCommittedAreReported() {
        assertThatThrownBy(() -> product("warpgroup_f16_64", 64, operand(Format.F16, ROWS), operand(Format.F16, 64), false, 6))
                .hasMessageContaining("ended while 4 products were under way that it has not waited for, the first from wgmma_f16 in");
    }

    @Test
    void aMissingFenceBetweenCopiesAndProductsIsReported() {
        assertThatThrownBy(() -> product("warpgroup_bf16_64", 64, operand(Format.BF16, ROWS), operand(Format.BF16, 64), false, 7))
                .hasMessageContaining("the product reads what kernel warpgroup_bf16_64, block (0, 0, 0), thread (")
                .hasMessageContaining("has copied by cp_async_16 in emulator_warpgroup.cu:")
                .hasMessageContaining("without fence_async_proxy() behind its wait");
    }

    @Test
    void aCopyToWhereAnotherIsUnderWayIsReported() {
        assertThatThrownBy(() -> product("warpgroup_bf16_64", 64, operand(Format.BF16, ROWS), operand(Format.BF16, 64), false, 8))
                .hasMessageContaining("cp_async_16 in emulator_warpgroup.cu:")
                .hasMessageContaining("a copy to where one of kernel warpgroup_bf16_64, block (0, 0, 0), thread (")
                .hasMessageContaining("is still under way");
    }

    @Test
    void productsOfWhatHasNotComeAreReported() {
        assertThatThrownBy(() -> product("warpgroup_e4m3_64", 64, operand(Format.E4M3, ROWS), operand(Format.E4M3, 64), false, 9))
                .hasMessageContaining("has copied by cp_async_16 in emulator_warpgroup.cu:")
                .hasMessageContaining("before that has come");
    }

    @Test
    void warpsHandOverByANamedBarrier() {
        Device device = emulator.device();
        try (DeviceBuffer x = Floats.upload(device, Floats.counting(64)); DeviceBuffer y = device.allocate(256)) {
            emulator.kernels().get("emulator_warpgroup", "hand_over").arguments().pointer(y.address()).pointer(x.address())
                    .int32(0).launch(device.stream(), new LaunchShape(3, 1, 1, 192, 256));
            float[] result = Floats.download(y, device);
            for (int i = 0; i < 64; i++) {
                assertThat(result[i]).isEqualTo(64 - i);
            }
            assertThatThrownBy(() -> emulator.kernels().get("emulator_warpgroup", "hand_over").arguments().pointer(y.address())
                    .pointer(x.address()).int32(1).launch(device.stream(), new LaunchShape(1, 1, 1, 192, 256)))
                    .isInstanceOf(CudaException.class)
                    .hasMessageContaining("64 wait at named_barrier_sync in emulator_warpgroup.cu:")
                    .hasMessageContaining("128 have ended");
        }
    }
}
