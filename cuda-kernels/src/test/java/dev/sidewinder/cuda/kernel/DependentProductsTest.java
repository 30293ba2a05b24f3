package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.Linear.Numbers;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// A product that is launched to overlap the one in front begins with its weights, and reads activations only when that one
/// has ended.
class DependentProductsTest {

    private static final int SEEDS = 12;
    private static final int TOKENS = 6;
    private static final int WIDTH = 128;
    private static final int COLUMNS = 40;

    static List<LinearPlan> plans() {
        return List.of(new LinearPlan.Skinny(8, 3), new LinearPlan.Tiled(32, 1), new LinearPlan.Plain());
    }

    @ParameterizedTest
    @MethodSource("plans")
    void theSecondProductReadsWhatTheFirstWrites(LinearPlan plan) {
        for (long seed = 1; seed <= SEEDS; seed++) {
            try (Emulator emulator = Emulator.open(EmulatorSettings.withSeed(seed).lazily());
                    CheckMemory memory = new CheckMemory(emulator.device())) {
                // given two matrices and activations
                Random random = new Random(seed);
                long x = matrix(memory, TOKENS * WIDTH, random);
                Linear.Weights first = new Linear.Weights(Numbers.BF16, matrix(memory, WIDTH * WIDTH, random), 0, WIDTH, WIDTH, 1);
                Linear.Weights second = new Linear.Weights(Numbers.BF16, matrix(memory, COLUMNS * WIDTH, random), 0, COLUMNS, WIDTH, 1);
                Linear linear = new Linear(emulator.kernels(), emulator.device().stream(), 0, 0);

                // when both products are launched, with and without a rest in between
                float[] together = products(memory, linear, x, first, second, plan, false);
                float[] apart = products(memory, linear, x, first, second, plan, true);

                // then their bits are the same
                Closeness.checkSameBits("seed " + seed, together, apart);
                assertThat(apart).doesNotContain(Float.NaN);
            }
        }
    }

    private static float[] products(CheckMemory memory, Linear linear, long x, Linear.Weights first, Linear.Weights second,
            LinearPlan plan, boolean resting) {
        long middle = memory.unwritten(2L * TOKENS * WIDTH);
        long result = memory.unwritten(4L * TOKENS * COLUMNS);
        Stream stream = memory.device().stream();
        linear.multiply(stream, Linear.Source.of(x, TOKENS), first, new Linear.Output(middle, WIDTH, Finish.STORE_BF16));
        if (resting) {
            stream.synchronize();
        }
        Linear.Source source = Linear.Source.of(middle, TOKENS);
        List<Linear.Part> parts = List.of(new Linear.Part(second, new Linear.Output(result, COLUMNS, Finish.STORE_F32)));
        linear.launch(stream, source, parts, Linear.size(source, parts), plan);
        return memory.floats(result, TOKENS * COLUMNS);
    }

    private static long matrix(CheckMemory memory, int count, Random random) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return memory.upload(ActivationRows.Type.BF16, values);
    }
}
