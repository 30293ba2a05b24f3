package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.RmsNorm.Rows;
import dev.sidewinder.cuda.kernel.RmsNorm.Weight;
import dev.sidewinder.cuda.kernel.RmsNorm.WeightType;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RmsNormTest {

    /// One, odd ones, the warp and its neighbours, the bound between the forms, those between block sizes, the real
    /// model's, one that fills the registers of the largest block and some beyond, and an odd wide one.
    private static final int[] WIDTHS = {1, 2, 3, 4, 5, 31, 32, 33, 63, 127, 128, 129, 252, 255, 256, 257, 258, 260, 264, 511,
            512, 516, 1020, 1024, 1028, 2048, 2052, 2688, 4092, 4096, 4100, 4099, 5120, 8200};

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    @ParameterizedTest
    @EnumSource
    void agreesWithTheFormulaForEveryWidth(RmsNormCheck.Target target) {
        RmsNormCheck check = new RmsNormCheck(emulator.device(), emulator.kernels());
        Random random = new Random(target.ordinal());
        for (int width : WIDTHS) {
            for (WeightType weight : WeightType.values()) {
                int rows = new int[] {1, 2, 3, 4, 5, 9}[random.nextInt(6)];
                check.check(new RmsNormCheck.Case(target, weight, random.nextBoolean(), random.nextBoolean(), rows, width,
                        random.nextLong()));
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void takesAddedValuesAndAnIndexInEveryCombination(RmsNormCheck.Target target) {
        RmsNormCheck check = new RmsNormCheck(emulator.device(), emulator.kernels());
        for (int width : new int[] {100, 4160}) {
            for (boolean adding : new boolean[] {false, true}) {
                for (boolean indexed : new boolean[] {false, true}) {
                    for (long seed = 0; seed < 3; seed++) {
                        check.check(new RmsNormCheck.Case(target, WeightType.BF16, adding, indexed, 6, width, seed));
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void normalisesManyRows(RmsNormCheck.Target target) {
        RmsNormCheck check = new RmsNormCheck(emulator.device(), emulator.kernels());
        for (int rows : new int[] {63, 64, 65, 257}) {
            check.check(new RmsNormCheck.Case(target, WeightType.F32, true, false, rows, 20, rows));
            check.check(new RmsNormCheck.Case(target, WeightType.BF16, false, true, rows, 260, rows));
        }
    }

    @Test
    void refusesWhatCannotBeMeant() {
        RmsNorm norm = new RmsNorm(emulator.kernels());
        Stream stream = emulator.device().stream();
        Weight weight = new Weight(256, WeightType.BF16, 1e-5f);

        assertThatThrownBy(() -> Rows.all(256, 0, 64)).hasMessage("RMSNorm of 0 rows of width 64; each is at least 1");
        assertThatThrownBy(() -> Rows.all(256, 1, 0)).hasMessage("RMSNorm of 1 rows of width 0; each is at least 1");
        assertThatThrownBy(() -> Rows.all(0, 1, 64)).hasMessage("RMSNorm without a residual");
        assertThatThrownBy(() -> new Weight(0, WeightType.F32, 0)).hasMessage("RMSNorm without a weight");
        assertThatThrownBy(() -> norm.toF32(stream, 0, Rows.all(256, 1, 64), weight)).hasMessage("RMSNorm without a result");
        assertThatThrownBy(() -> norm.toF32(stream, 0x1008, Rows.all(0x2000, 1, 512), weight))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("RMSNorm of width 512 reads 16 bytes at a time").hasMessageContaining("result 0x1008");
        for (float scale : new float[] {0, -1, Float.NaN, Float.POSITIVE_INFINITY * 0, 1e-45f}) {
            assertThatThrownBy(() -> norm.toE4m3(stream, 256, scale, Rows.all(256, 1, 64), weight))
                    .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("input scale");
        }
    }
}
