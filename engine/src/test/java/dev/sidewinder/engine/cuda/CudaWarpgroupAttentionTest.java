package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.options;
import static dev.sidewinder.engine.cuda.EmulatedBackend.randomTokens;
import static dev.sidewinder.engine.cuda.EmulatedBackend.relativeError;
import static dev.sidewinder.engine.cuda.EmulatedBackend.run;
import static dev.sidewinder.engine.cuda.EmulatedBackend.withWarpgroups;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.RecordedLaunch;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.cpu.Arithmetic;
import dev.sidewinder.engine.cpu.CpuBackend;
import dev.sidewinder.engine.cpu.CpuOptions;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.LogitRows;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Attention over prompts on warpgroup kernels, in a backend: for the one head_dim that they take, whatever the number of rows.
class CudaWarpgroupAttentionTest {

    private static final CacheShape SHAPE = new CacheShape(8, 4);
    private static final int BLOCKS = 2;
    private static final int PROMPT_TOKENS = 133;
    private static final double TOLERANCE = 0.01;
    private static final String KERNEL = "sm90_paged_attention_prompt_128_bf16";

    private final Model model = Model.open("synthetic:tiny,layers=*-,hidden=64,vocab=64,query-heads=8,kv-heads=1,head-dim=128,dense=32");
    private final int[] prompt = randomTokens(new Random(5), PROMPT_TOKENS, model);

    @AfterEach
    void close() {
        model.close();
    }

    private static List<String> launched(Runnable work) {
        return Emulator.recording(work).stream().map(RecordedLaunch::kernel).filter(name -> name.contains("attention_prompt_")).toList();
    }

    @Test
    void promptsOfHeadDim128AttendOnThemUnlessTheSettingTurnsThemOff() {
        float[] onCpu;
        try (var cpu = new CpuBackend(model.config(), model.weights(), SHAPE,
                new CpuOptions(Arithmetic.F32, 2, 512, CpuOptions.Products.SCALAR), LoadProgress.SILENT)) {
            onCpu = run(cpu, TestSequence.at(0, BLOCKS, prompt).next(PROMPT_TOKENS, LogitRows.LAST))[0];
        }
        List<float[]> logits = new ArrayList<>();

        // with them: a whole prompt, and one in two pieces of which the second is short, the same bits
        try (CudaBackend backend = EmulatedBackend.open(model, SHAPE, withWarpgroups(options(256, SHAPE)), 1)) {
            assertThat(launched(() -> logits.add(run(backend, TestSequence.at(0, BLOCKS, prompt).next(PROMPT_TOKENS, LogitRows.LAST))[0])))
                    .containsExactly(KERNEL);
            assertThat(launched(() -> {
                var cut = TestSequence.at(1, BLOCKS, prompt);
                run(backend, cut.next(128, LogitRows.NONE));
                logits.add(run(backend, cut.next(PROMPT_TOKENS - 128, LogitRows.LAST))[0]);
            })).containsExactly(KERNEL, KERNEL);
        }
        assertThat(logits.get(1)).isEqualTo(logits.get(0));
        assertThat(relativeError(onCpu, logits.get(0))).isLessThan(TOLERANCE);

        // without them: other kernels, other last bits
        try (CudaBackend backend = EmulatedBackend.open(model, SHAPE, options(256, SHAPE), 1)) {
            assertThat(launched(() -> logits.add(run(backend, TestSequence.at(0, BLOCKS, prompt).next(PROMPT_TOKENS, LogitRows.LAST))[0])))
                    .containsExactly("paged_attention_prompt_128_bf16");
        }
        assertThat(Arrays.equals(logits.get(2), logits.get(0))).isFalse();
        assertThat(relativeError(onCpu, logits.get(2))).isLessThan(TOLERANCE);
    }
}
