package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.Linear.Numbers;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class NormedLinearTest {

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    /// Rows that 64, 128 and 256 threads normalise, also with threads that have nothing to do and more than they hold.
    @ParameterizedTest
    @EnumSource(Numbers.class)
    void hasTheBitsOfTwoLaunches(Numbers numbers) {
        var check = new NormedLinearCheck(emulator.device(), emulator.kernels());
        for (int inputs : new int[] {288, 1_024, 1_056, 2_048, 2_080, 2_688, 4_128}) {
            for (int tokens = 1; tokens <= 4; tokens++) {
                boolean pair = numbers.sourceBits() == 16 && tokens % 2 == 0;
                check.verify(new NormedLinearCheck.Case(numbers, tokens, 40, inputs, pair, false, inputs + tokens));
                check.verify(new NormedLinearCheck.Case(numbers, tokens, 17, inputs, !pair && numbers.sourceBits() == 16, true, tokens));
            }
        }
    }

    @Test
    void isOnlyForAFewRowsThatABlockNormalises() {
        var linear = new Linear(emulator.kernels(), emulator.device().stream(), 0, 0);
        for (int tokens : new int[] {1, 4, 5}) {
            for (int inputs : new int[] {256, 320}) {
                var rows = RmsNorm.Rows.all(4_096, tokens, inputs);
                var weight = new RmsNorm.Weight(8_192, RmsNorm.WeightType.F32, 1e-5f);
                var parts = List.of(new Linear.Part(new Linear.Weights(Numbers.BF16, 4_096, 0, 32, inputs, 1),
                        new Linear.Output(16_384, 32, Finish.STORE_F32)));
                var source = Linear.Source.of(32_768, tokens);
                boolean possible = tokens <= 4 && inputs == 320;
                assertThat(linear.normalises(source, rows, weight, parts)).isEqualTo(possible);
                assertThat(linear.normalises(source, rows.adding(4_096), weight, parts)).isFalse();
                if (!possible) {
                    assertThatThrownBy(() -> linear.multiplyNormed(emulator.device().stream(), source, rows, weight, parts))
                            .isInstanceOf(IllegalArgumentException.class).hasMessageContaining(tokens + " rows of width " + inputs);
                }
            }
        }
    }
}
