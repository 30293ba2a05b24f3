package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.argMax;
import static dev.sidewinder.engine.cuda.EmulatedBackend.options;
import static dev.sidewinder.engine.cuda.EmulatedBackend.randomTokens;
import static dev.sidewinder.engine.cuda.EmulatedBackend.relativeError;
import static dev.sidewinder.engine.cuda.EmulatedBackend.run;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.BackendUnavailableException;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.cpu.Arithmetic;
import dev.sidewinder.engine.cpu.CpuBackend;
import dev.sidewinder.engine.cpu.CpuOptions;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.engine.cuda.StoredFormats.Choice;
import dev.sidewinder.engine.cuda.StoredFormats.Stored;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.scheduler.LogitRows;
import java.lang.foreign.Arena;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// Formats as publishers mix them in one checkpoint. Source: the tensors of the published FP8 and NVFP4 files of the family.
@Timeout(600)
class CudaFormatsTest {

    /// Layers: 0 Mamba, 1 attention, 2 experts, 3 Mamba, 4 experts, 5 dense.
    private static final String MODEL = "synthetic:tiny,layers=M*EME-,hidden=64,vocab=256,mamba-heads=4,mamba-head-dim=16,groups=2,"
            + "state=64,query-heads=4,kv-heads=2,head-dim=64,dense=64,experts=4,active=2,intermediate=64,shared=128";
    private static final String LATENT = MODEL + ",latent=32";
    private static final CacheShape SHAPE = new CacheShape(2, 1);

    static Stream<Arguments> mixtures() {
        return Stream.of(
                mixture("FP8 with whole layers left in BF16", MODEL, name ->
                        name.startsWith("layers.3.") || attention(name) || name.equals("lm_head") ? Stored.BF16 : Stored.FP8),
                mixture("NVFP4 experts, attention and Mamba in BF16", MODEL, name ->
                        name.contains("experts.") ? Stored.NVFP4 : Stored.BF16),
                mixture("NVFP4 experts and head, Mamba in FP8", MODEL, name ->
                        name.contains("experts.") || name.equals("lm_head") ? Stored.NVFP4 : mamba(name) ? Stored.FP8 : Stored.BF16),
                mixture("NVFP4 routed experts, the shared one in FP8", MODEL, name ->
                        name.contains("shared") || mamba(name) ? Stored.FP8 : name.contains("experts.") ? Stored.NVFP4 : Stored.BF16),
                mixture("the two matrices of the shared expert in two formats", MODEL, name ->
                        name.contains("shared_experts.up") ? Stored.FP8 : name.contains("experts.") ? Stored.NVFP4 : Stored.BF16),
                mixture("single projections in FP8, layer by layer", MODEL, name ->
                        name.equals("layers.0.in_proj") || name.equals("layers.3.out_proj") || name.endsWith("o_proj")
                                || name.equals("layers.4.shared_experts.down_proj") || name.equals("layers.5.up_proj")
                                ? Stored.FP8 : name.contains("experts.") ? Stored.NVFP4 : Stored.BF16),
                mixture("experts of one layer in FP8, of another in NVFP4", MODEL, name ->
                        !name.contains("experts.") ? Stored.BF16 : name.startsWith("layers.2.") ? Stored.FP8 : Stored.NVFP4),
                mixture("FP8 without input scales", MODEL, name -> attention(name) ? Stored.BF16 : Stored.FP8_WITHOUT_INPUT_SCALE),
                mixture("NVFP4 experts between latent projections of which one is in FP8", LATENT, name ->
                        name.contains("fc1") ? Stored.FP8 : name.contains("experts.") ? Stored.NVFP4 : Stored.BF16));
    }

    private static Arguments mixture(String what, String location, Choice choice) {
        return Arguments.of(what, location, choice);
    }

    private static boolean attention(String name) {
        return name.contains("q_proj") || name.contains("k_proj") || name.contains("v_proj") || name.contains("o_proj");
    }

    private static boolean mamba(String name) {
        return name.contains("in_proj") || name.contains("out_proj");
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("mixtures")
    void computesWhatTheCpuComputes(String what, String location, Choice choice) {
        try (Arena arena = Arena.ofShared(); Model model = Model.open(location)) {
            ModelWeights weights = StoredFormats.of(model.weights(), arena, choice);
            try (Backend cpu = new CpuBackend(model.config(), weights, SHAPE,
                    new CpuOptions(Arithmetic.F32, 2, 256, CpuOptions.Products.SCALAR), LoadProgress.SILENT);
                    Backend cuda = EmulatedBackend.open(model, weights, SHAPE, options(256, SHAPE), 1)) {
                int[] prompt = randomTokens(new Random(2), 20, model);
                var onCpu = TestSequence.at(0, 2, prompt);
                var onCuda = TestSequence.at(0, 2, prompt);
                float[] expected = run(cpu, onCpu.next(20, LogitRows.LAST))[0];
                float[] actual = run(cuda, onCuda.next(20, LogitRows.LAST))[0];
                for (int step = 0; step < 2; step++) {
                    assertThat(relativeError(expected, actual)).as("step %d", step).isLessThan(Tolerance.FP8.relativeError());
                    onCpu.append(argMax(expected));
                    onCuda.append(argMax(expected));
                    expected = run(cpu, onCpu.next(1, LogitRows.LAST))[0];
                    actual = run(cuda, onCuda.next(1, LogitRows.LAST))[0];
                }
            }
        }
    }

    static Stream<Arguments> refusals() {
        return Stream.of(
                Arguments.of((Choice) name -> name.equals("layers.4.experts.2.up_proj") ? Stored.NVFP4 : Stored.BF16,
                        "layer 4 has experts in BF16 and expert 2 in NVFP4"),
                Arguments.of((Choice) name -> name.startsWith("layers.2.experts.") && name.endsWith("down_proj") ? Stored.FP8
                        : name.contains("experts.") ? Stored.NVFP4 : Stored.BF16, "layer 2 has experts in NVFP4 and expert 0 in E4M3"),
                Arguments.of((Choice) name -> name.equals("layers.2.experts.3.down_proj") ? Stored.FP8_WITHOUT_INPUT_SCALE
                        : name.contains("experts.") ? Stored.FP8 : Stored.BF16, "layer 2 has experts in E4M3 and expert 3 in E4M3_BF16"));
    }

    /// No published file mixes formats within a layer's experts, which run in one launch.
    @ParameterizedTest(name = "{1}")
    @MethodSource("refusals")
    void refusesExpertsOfOneLayerInTwoFormatsByNameBeforeAnythingIsAllocated(Choice choice, String message) {
        try (Arena arena = Arena.ofShared(); Model model = Model.open(MODEL);
                CudaDevice device = EmulatedBackend.device(EmulatorSettings.withSeed(3))) {
            ModelWeights weights = StoredFormats.of(model.weights(), arena, choice);
            assertThatThrownBy(() -> device.plan(model.config(), weights, options(256, SHAPE), new CudaMemoryPlan.Wish(0, 0, 1, 1, 128)))
                    .isInstanceOf(BackendUnavailableException.class)
                    .hasMessageContaining(message).hasMessageContaining("in one format");
            assertThat(Emulator.liveAllocations()).isZero();
        }
    }
}
