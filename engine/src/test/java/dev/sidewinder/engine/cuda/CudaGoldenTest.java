package dev.sidewinder.engine.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.cpu.Arithmetic;
import dev.sidewinder.engine.cpu.CpuBackend;
import dev.sidewinder.engine.cpu.CpuOptions;
import dev.sidewinder.engine.cpu.GoldenData;
import dev.sidewinder.engine.cpu.GoldenRecording;
import dev.sidewinder.engine.cuda.StoredFormats.Stored;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.checkpoint.ModelWeights;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// The CUDA backend, emulated, on weights that mean something: the golden checkpoint and the trained `models/tiny`, against
/// what independent implementations said.
///
/// With `-Dsidewinder.long=true` the longest prompts run too, which take the emulator minutes.
@Timeout(900)
class CudaGoldenTest {

    private static final Path TINY = Path.of("..", "models", "tiny").toAbsolutePath().normalize();
    private static final int LONGEST_ON_EVERY_RUN = 1100;
    private static final int PIECE_TOKENS = 512;
    private static final boolean LONG = Boolean.getBoolean("sidewinder.long");
    /// Of what was recorded behind a prompt.
    private static final int STEPS = LONG ? 24 : 8;

    static List<GoldenData.Case> cases() {
        return GoldenData.cases();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void goesOnAsWasRecorded(GoldenData.Case golden) {
        assumeShort(golden.prompt().length);
        int blocks = blocks(golden.prompt().length);
        try (Model model = GoldenData.model();
                Backend cpu = cpu(model, model.weights(), blocks);
                Backend cuda = cuda(model, model.weights(), blocks, KvFormat.BF16)) {
            var lockstep = new Lockstep(cpu, cuda, Tolerance.BF16, blocks, golden.prompt());
            lockstep.prompt(PIECE_TOKENS);
            assertThat(Lockstep.divergence(golden.logits(), lockstep.actualRow())).isLessThan(Tolerance.BF16.divergence());
            // every recorded token goes in, whatever came out for it
            for (int step = 0; step < STEPS; step++) {
                assertThat(lockstep.choice()).as("step %d", step).isEqualTo(golden.greedy()[step]);
                lockstep.next(golden.greedy()[step]);
            }
            lockstep.finish();
        }
    }

    static List<GoldenRecording.Prompt> recordings() {
        return GoldenRecording.read(TINY.resolve("golden/golden.safetensors")).prompts();
    }

    /// Facts, key recall, tool calls and the rest of the test set's kinds, and the edges of blocks.
    @ParameterizedTest
    @MethodSource("recordings")
    void saysWhatThePyTorchModelSays(GoldenRecording.Prompt prompt) {
        assumeShort(prompt.tokens().length);
        int blocks = blocks(prompt.tokens().length);
        try (Model model = Model.open(TINY.toString());
                Backend cpu = cpu(model, model.weights(), blocks);
                Backend cuda = cuda(model, model.weights(), blocks, KvFormat.BF16)) {
            var lockstep = new Lockstep(cpu, cuda, Tolerance.BF16, blocks, prompt.tokens());
            lockstep.prompt(PIECE_TOKENS);
            assertThat(Lockstep.divergence(prompt.logits(), lockstep.actualRow())).isLessThan(Tolerance.BF16.divergence());
            for (int step = 0; step < STEPS; step++) {
                assertThat(lockstep.choice()).as("step %d", step).isEqualTo(prompt.continuation()[step]);
                lockstep.next(prompt.continuation()[step]);
            }
            lockstep.finish();
        }
    }

    /// The publisher's recipes, on trained weights.
    enum Recipe {
        /// As the FP8 file: experts and Mamba projections with static input scales.
        FP8(Tolerance.FP8, KvFormat.BF16),
        /// As the NVFP4 file of the same model.
        NVFP4(Tolerance.BF16, KvFormat.BF16),
        /// NVFP4 experts and head, FP8 Mamba projections.
        MIXED(Tolerance.FP8, KvFormat.BF16),
        /// Unquantised, with keys and values in one byte.
        FP8_CACHE(Tolerance.FP8_CACHE, KvFormat.E4M3);

        private final Tolerance tolerance;
        private final KvFormat kvFormat;

        Recipe(Tolerance tolerance, KvFormat kvFormat) {
            this.tolerance = tolerance;
            this.kvFormat = kvFormat;
        }

        Stored of(String matrix) {
            boolean mamba = matrix.contains("in_proj") || matrix.contains("out_proj");
            boolean experts = matrix.contains("experts.");
            return switch (this) {
                case FP8 -> mamba || experts ? Stored.FP8 : Stored.BF16;
                case NVFP4 -> mamba || experts ? Stored.NVFP4 : Stored.BF16;
                case MIXED -> mamba ? Stored.FP8 : experts || matrix.equals("lm_head") ? Stored.NVFP4 : Stored.BF16;
                case FP8_CACHE -> Stored.BF16;
            };
        }
    }

    static Stream<Arguments> recipes() {
        List<GoldenRecording.Prompt> prompts = recordings().stream()
                .filter(prompt -> List.of("facts", "key-recall", "tool-call").contains(prompt.name())).toList();
        return Stream.of(Recipe.values()).flatMap(recipe -> prompts.stream().map(prompt -> Arguments.of(recipe, prompt)));
    }

    @ParameterizedTest
    @MethodSource("recipes")
    void saysWhatTheCpuSaysOfTheSameQuantisedWeights(Recipe recipe, GoldenRecording.Prompt prompt) {
        int blocks = blocks(prompt.tokens().length);
        try (Arena arena = Arena.ofShared(); Model model = Model.open(TINY.toString())) {
            ModelWeights weights = StoredFormats.of(model.weights(), arena, recipe::of);
            try (Backend cpu = cpu(model, weights, blocks);
                    Backend cuda = cuda(model, weights, blocks, recipe.kvFormat)) {
                var lockstep = new Lockstep(cpu, cuda, recipe.tolerance, blocks, prompt.tokens());
                lockstep.prompt(PIECE_TOKENS);
                for (int step = 0; step < STEPS; step++) {
                    lockstep.next(lockstep.choice());
                }
                lockstep.finish();
            }
        }
    }

    private static void assumeShort(int tokens) {
        assumeTrue(tokens <= LONGEST_ON_EVERY_RUN || LONG,
                tokens + " tokens take long on the emulator; -Dsidewinder.long=true runs them");
    }

    private static int blocks(int promptTokens) {
        return CacheShape.blocksFor(promptTokens + STEPS);
    }

    private static Backend cpu(Model model, ModelWeights weights, int blocks) {
        return new CpuBackend(model.config(), weights, new CacheShape(blocks, 1),
                new CpuOptions(Arithmetic.F32, 2, PIECE_TOKENS, CpuOptions.Products.BEST), LoadProgress.SILENT);
    }

    private static Backend cuda(Model model, ModelWeights weights, int blocks, KvFormat kvFormat) {
        var options = new CudaOptions(PIECE_TOKENS, 1, blocks * CacheShape.BLOCK_TOKENS, kvFormat, true, true);
        return EmulatedBackend.open(model, weights, new CacheShape(blocks, 1), options, blocks);
    }
}
