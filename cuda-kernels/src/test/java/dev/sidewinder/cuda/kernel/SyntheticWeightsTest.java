package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.SyntheticWeights.Form;
import dev.sidewinder.cuda.kernel.SyntheticWeights.Numbers;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class SyntheticWeightsTest {

    /// Around a draw, a thread's group and a block of threads.
    private static final long[] COUNTS = {1, 3, 4, 5, 15, 16, 17, 31, 2047, 2048, 2049, 4100, 65_537};
    private static final long[] WHOLE_BLOCKS = {16, 32, 2032, 2048, 2064, 65_536};
    /// Such that the largest value of the check's table uses the whole range, far too large, far too small, and none.
    private static final float[] GLOBAL_SCALES = {4.5f / (6 * 448), 1, 1e-6f, 1e-36f, 0};

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    @ParameterizedTest
    @EnumSource(names = {"BF16", "F32", "E4M3"})
    void makesEveryElementOfAnyCountAndNoMore(Form form) {
        var check = new SyntheticWeightsCheck(emulator.device(), emulator.kernels());
        for (long count : COUNTS) {
            check.check(new SyntheticWeightsCheck.Case(form, count, 0, 17 * count));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"NVFP4_CODES", "NVFP4_SCALES"})
    void quantisesBlocksOfSixteen(Form form) {
        var check = new SyntheticWeightsCheck(emulator.device(), emulator.kernels());
        for (long count : WHOLE_BLOCKS) {
            for (float globalScale : GLOBAL_SCALES) {
                check.check(new SyntheticWeightsCheck.Case(form, count, globalScale, 3 * count));
            }
        }
    }

    @Test
    void refusesWhatCannotBeMeant() {
        var weights = new SyntheticWeights(emulator.kernels());
        var numbers = new Numbers(0x1000, 1, 1);
        var stream = emulator.device().stream();
        assertThatThrownBy(() -> weights.make(stream, Form.BF16, 0x2008, numbers, 1)).hasMessageContaining("to 0x2008");
        assertThatThrownBy(() -> weights.make(stream, Form.BF16, 0, numbers, 1)).hasMessageContaining("to 0x0");
        assertThatThrownBy(() -> weights.make(stream, Form.F32, 0x2000, new Numbers(0, 1, 1), 1))
                .hasMessageContaining("a table at 0x0");
        assertThatThrownBy(() -> weights.make(stream, Form.F32, 0x2000, numbers, 0)).hasMessageContaining("0 synthetic weights");
        assertThatThrownBy(() -> weights.make(stream, Form.NVFP4_CODES, 0x2000, numbers, 24))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("24 synthetic weights in NVFP4_CODES");
    }
}
