package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.options;
import static dev.sidewinder.engine.cuda.EmulatedBackend.randomTokens;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.engine.BackendUnavailableException;
import dev.sidewinder.engine.cuda.StoredFormats.Choice;
import dev.sidewinder.engine.cuda.StoredFormats.Stored;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.checkpoint.ModelWeights;
import java.lang.foreign.Arena;
import java.util.Arrays;
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

    private static final int ROWS = 7;
    /// Against doubles that round where the device does. A last bit of a sum turns a rounding here and there, and e4m3 keeps 4
    /// bits: a code that is turned moves a value by up to an eighth, and what comes behind it turns more of them. Measured 0.062
    /// in a row, and 0.029 in the median, where most matrices are in FP8.
    private static final double WORST_ERROR = 0.12;
    private static final double MEDIAN_ERROR = 0.05;
    /// Of the scores of two experts, which are of the order of 1. Measured 0.008.
    private static final double NEAR_TIE = 0.02;

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
    void computesWhatDoublesComputeThatRoundInTheSamePlaces(String what, String location, Choice choice) {
        try (Arena arena = Arena.ofShared(); Model model = Model.open(location)) {
            ModelWeights weights = StoredFormats.of(model.weights(), arena, choice);
            try (CudaBackend cuda = EmulatedBackend.open(model, weights, SHAPE, options(256, SHAPE), 1)) {
                var follower = new Follower(model.config(), weights, KvFormat.BF16, cuda, 2, randomTokens(new Random(2), 20, model));
                follower.prompt(20);
                double[] errors = new double[ROWS];
                for (int row = 0; row < ROWS; row++) {
                    errors[row] = follower.relativeError();
                    assertThat(errors[row]).as("row %d", row).isLessThan(WORST_ERROR);
                    follower.next(follower.expectedChoice());
                }
                assertThat(follower.farthestTie()).as("what the experts that were taken lie below the best").isLessThan(NEAR_TIE);
                Arrays.sort(errors);
                assertThat(errors[ROWS / 2]).as("median of %s", Arrays.toString(errors)).isLessThan(MEDIAN_ERROR);
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
