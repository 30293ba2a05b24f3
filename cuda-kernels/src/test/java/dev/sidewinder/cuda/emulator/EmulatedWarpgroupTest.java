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

    private byte[] operand(boolean bf16, int rows) {
        byte[] bytes = new byte[rows * ROW_BYTES];
        for (int i = 0; i < bytes.length; i++) {
            if (!bf16) {
                bytes[i] = (byte) (random.nextInt(0x60) | random.nextInt(2) << 7);
            } else if (i % 2 == 0) {
                int code = Float.floatToRawIntBits((float) random.nextGaussian()) >>> 16;
                bytes[i] = (byte) code;
                bytes[i + 1] = (byte) (code >>> 8);
            }
        }
        return bytes;
    }

    private static double value(boolean bf16, byte[] operand, int row, int k) {
        if (bf16) {
            int at = row * ROW_BYTES + 2 * k;
            return Float.intBitsToFloat((operand[at] & 255) << 16 | operand[at + 1] << 24);
        }
        int code = operand[row * ROW_BYTES + k] & 255;
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
        Device device = emulator.device();
        try (DeviceBuffer left = upload(a); DeviceBuffer right = upload(b); DeviceBuffer d = device.allocate(4L * ROWS * columns)) {
            emulator.kernels().get("emulator_warpgroup", kernel).arguments().pointer(d.address()).pointer(left.address())
                    .pointer(right.address()).int32(fromRegisters ? 1 : 0).int32(fault)
                    .launch(device.stream(), new LaunchShape(1, 1, 1, 128, (ROWS + columns) * ROW_BYTES));
            return Floats.download(d, device);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "warpgroup_bf16_8, 8", "warpgroup_bf16_16, 16", "warpgroup_bf16_32, 32", "warpgroup_bf16_64, 64",
        "warpgroup_bf16_128, 128", "warpgroup_bf16_256, 256", "warpgroup_e4m3_8, 8", "warpgroup_e4m3_64, 64",
        "warpgroup_e4m3_256, 256"
    })
    void productsFollowTheManualsLayout(String kernel, int columns) {
        boolean bf16 = kernel.contains("bf16");
        int depth = bf16 ? 64 : 128;
        byte[] a = operand(bf16, ROWS);
        byte[] b = operand(bf16, columns);
        for (boolean fromRegisters : new boolean[] {false, true}) {
            float[] d = product(kernel, columns, a, b, fromRegisters, 0);
            for (int row = 0; row < ROWS; row++) {
                for (int column = 0; column < columns; column++) {
                    double sum = 0;
                    double magnitude = 0;
                    for (int k = 0; k < depth; k++) {
                        double term = value(bf16, a, row, k) * value(bf16, b, column, k);
                        sum += term;
                        magnitude += Math.abs(term);
                    }
                    assertThat((double) d[row * columns + column]).as("(%d, %d), a from registers: %b", row, column, fromRegisters)
                            .isCloseTo(sum, within(magnitude * FP32_SUM + 1e-30));
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"warpgroup_bf16_64", "warpgroup_e4m3_64"})
    void resultsThatNobodyWaitedForAreNaN(String kernel) {
        boolean bf16 = kernel.contains("bf16");
        float[] d = product(kernel, 64, operand(bf16, ROWS), operand(bf16, 64), false, 1);
        assertThat(d).containsOnly(Float.NaN);
    }

    @Test
    void tilesThatAreOverwrittenTooEarlyShow() {
        byte[] a = operand(true, ROWS);
        byte[] b = operand(true, 64);
        assertThat(product("warpgroup_bf16_64", 64, a, b, false, 2)).isNotEqualTo(product("warpgroup_bf16_64", 64, a, b, false, 0));
    }

    @Test
    void aTileThatIsNotAlignedIsReported() {
        assertThatThrownBy(() -> product("warpgroup_bf16_8", 8, operand(true, ROWS), operand(true, 16), false, 3))
                .isInstanceOf(CudaException.class)
                .hasMessageContaining("kernel warpgroup_bf16_8, block (0, 0, 0), thread (")
                .hasMessageMatching("(?s).*(not aligned to 1024 bytes|not in the block's shared memory|past the end).*");
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
