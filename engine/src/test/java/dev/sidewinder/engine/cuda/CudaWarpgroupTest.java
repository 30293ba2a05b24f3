package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.ROUND;
import static dev.sidewinder.engine.cuda.EmulatedBackend.argMax;
import static dev.sidewinder.engine.cuda.EmulatedBackend.options;
import static dev.sidewinder.engine.cuda.EmulatedBackend.randomTokens;
import static dev.sidewinder.engine.cuda.EmulatedBackend.relativeError;
import static dev.sidewinder.engine.cuda.EmulatedBackend.run;
import static dev.sidewinder.engine.cuda.EmulatedBackend.withWarpgroups;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.cpu.Arithmetic;
import dev.sidewinder.engine.cpu.CpuBackend;
import dev.sidewinder.engine.cpu.CpuOptions;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.ValueSource;

/// Prompts on warpgroup kernels: right, and bit for bit what the request alone says, though their sums are added in another
/// order than those of generated tokens.
@Timeout(900)
@ParameterizedClass
@ValueSource(strings = {ROUND, ROUND + "?format=fp8"})
class CudaWarpgroupTest {

    private static final CacheShape SHAPE = new CacheShape(8, 4);
    private static final int BLOCKS = 2;
    private static final int PROMPT_TOKENS = 150;
    private static final int SHORT_TOKENS = 5;

    private final Model model;
    private final double tolerance;
    /// e4m3 products of so short rows are added without rounding, in any order.
    private final boolean exactSums;
    private final int[] prompt;
    private final int[] shortPrompt;

    CudaWarpgroupTest(String location) {
        model = Model.open(location);
        exactSums = location.endsWith("fp8");
        tolerance = exactSums ? 0.1 : 0.01;
        prompt = randomTokens(new Random(3), PROMPT_TOKENS, model);
        shortPrompt = Arrays.copyOf(prompt, SHORT_TOKENS);
    }

    @AfterEach
    void close() {
        model.close();
    }

    private CudaBackend open(long seed) {
        return EmulatedBackend.open(model, SHAPE, withWarpgroups(options(256, SHAPE)), seed);
    }

    @Test
    void agreesWithTheCpuOnAPromptAndTheTokensBehindIt() {
        try (Backend cpu = new CpuBackend(model.config(), model.weights(), SHAPE,
                new CpuOptions(Arithmetic.F32, 2, 512, CpuOptions.Products.SCALAR), LoadProgress.SILENT); Backend cuda = open(1)) {
            var onCpu = TestSequence.at(1, BLOCKS, prompt);
            var onCuda = TestSequence.at(1, BLOCKS, prompt);
            float[] expected = run(cpu, onCpu.next(PROMPT_TOKENS, LogitRows.LAST))[0];
            float[] actual = run(cuda, onCuda.next(PROMPT_TOKENS, LogitRows.LAST))[0];
            for (int step = 0; step < 3; step++) {
                assertThat(relativeError(expected, actual)).as("relative error of logits, step %d", step).isLessThan(tolerance);
                int token = argMax(expected);
                onCpu.append(token);
                onCuda.append(token);
                expected = run(cpu, onCpu.next(1, LogitRows.LAST))[0];
                actual = run(cuda, onCuda.next(1, LogitRows.LAST))[0];
            }
        }
    }

    @Test
    void aPromptHasTheSameBitsAloneInPiecesAndBesideOthers() {
        try (CudaBackend backend = open(2)) {
            // given a prompt of two pieces and a short one, each run alone
            float[] alone = run(backend, TestSequence.at(0, BLOCKS, prompt).next(PROMPT_TOKENS, LogitRows.LAST))[0];
            float[] shortAlone = run(backend, TestSequence.at(1, BLOCKS, shortPrompt).next(SHORT_TOKENS, LogitRows.LAST))[0];

            // when the first is cut on the grid, and both run in one pass
            var cut = TestSequence.at(2, BLOCKS, prompt);
            run(backend, cut.next(128, LogitRows.NONE));
            float[] second = run(backend, cut.next(PROMPT_TOKENS - 128, LogitRows.LAST))[0];
            BatchEntry[] together = {TestSequence.at(1, BLOCKS, shortPrompt).next(SHORT_TOKENS, LogitRows.LAST),
                TestSequence.at(3, BLOCKS, prompt).next(PROMPT_TOKENS, LogitRows.LAST)};
            float[][] both = run(backend, together);

            // then every bit is the same
            assertThat(second).isEqualTo(alone);
            assertThat(both).isDeepEqualTo(new float[][] {shortAlone, alone});
        }
    }

    @Test
    void theSettingTurnsThemOff() {
        float[] on;
        float[] off;
        try (CudaBackend backend = open(3)) {
            assertThat(backend.description()).contains("prompts on warpgroup kernels");
            on = run(backend, TestSequence.at(0, BLOCKS, prompt).next(PROMPT_TOKENS, LogitRows.LAST))[0];
        }
        try (CudaBackend backend = EmulatedBackend.open(model, SHAPE, options(256, SHAPE), 3)) {
            assertThat(backend.description()).contains("prompts on portable kernels");
            off = run(backend, TestSequence.at(0, BLOCKS, prompt).next(PROMPT_TOKENS, LogitRows.LAST))[0];
        }
        // another order of sums: other last bits, so these prompts did run on other kernels
        assertThat(Arrays.equals(on, off)).isEqualTo(exactSums);
        assertThat(relativeError(off, on)).isLessThan(tolerance);
    }

    @Test
    void withoutBatchInvarianceShortPassesStayWithThePortableKernels() {
        CudaOptions options = options(256, SHAPE);
        var free = new CudaOptions(options.maxBatchTokens(), options.maxSequences(), options.maxTokens(), options.kvFormat(), false,
                options.graphs());
        List<float[]> rows;
        try (CudaBackend backend = EmulatedBackend.open(model, SHAPE, free, 4)) {
            rows = List.of(run(backend, TestSequence.at(0, BLOCKS, shortPrompt).next(SHORT_TOKENS, LogitRows.LAST))[0],
                    run(backend, TestSequence.at(1, BLOCKS, prompt).next(PROMPT_TOKENS, LogitRows.LAST))[0]);
        }
        try (CudaBackend backend = EmulatedBackend.open(model, SHAPE, options, 4)) {
            assertThat(run(backend, TestSequence.at(0, BLOCKS, shortPrompt).next(SHORT_TOKENS, LogitRows.LAST))[0])
                    .isEqualTo(rows.get(0));
            float[] portable = run(backend, TestSequence.at(1, BLOCKS, prompt).next(PROMPT_TOKENS, LogitRows.LAST))[0];
            assertThat(Arrays.equals(portable, rows.get(1))).isEqualTo(exactSums);
        }
    }
}
