package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.ODD;
import static dev.sidewinder.engine.cuda.EmulatedBackend.ROUND;
import static dev.sidewinder.engine.cuda.EmulatedBackend.WIDE;
import static dev.sidewinder.engine.cuda.EmulatedBackend.randomTokens;
import static dev.sidewinder.engine.cuda.EmulatedBackend.relativeError;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.cuda.emulator.RecordedLaunch;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.ExpertLoad;
import dev.sidewinder.engine.FrameRunner;
import dev.sidewinder.engine.FrameRunner.Piece;
import dev.sidewinder.engine.FrameRunner.Run;
import dev.sidewinder.engine.StateParts;
import dev.sidewinder.engine.cpu.GoldenData;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.model.Model;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// A step with generated tokens and pieces of prompts is one pass over the weights, and leaves every bit as a step of the ones
/// and a step of the others would: logits, states, keys and values, states kept on the way, counts of experts.
///
/// With `-Dsidewinder.long=true` larger shapes and further formats run too, which take the emulator a minute.
@Timeout(900)
class CudaMixedStepTest {

    private static final String GOLDEN = "golden";
    private static final int SEED = 17;
    private static final CacheShape SHAPE = new CacheShape(16, 7);
    private static final Partition PARTITION = new Partition(1, 2);
    private static final int GENERATED = 4;
    private static final Pattern PRODUCTS = Pattern.compile("linear_|moe_experts_|sm90_moe_(up|down)");

    /// On which kernels prompts run, and whether generated tokens beside them must keep to theirs.
    private enum Mode {
        /// All on portable kernels.
        PORTABLE,
        /// The same, where attention of generated tokens may be spread by what else is generated.
        PORTABLE_AND_FREE,
        /// Prompts on warpgroup kernels, generated tokens not.
        APART_ON_WARPGROUPS,
        /// All on warpgroup kernels from 128 rows on.
        TOGETHER_ON_WARPGROUPS;

        private CudaOptions options(KvFormat format) {
            boolean invariant = this == PORTABLE || this == APART_ON_WARPGROUPS;
            var options = new CudaOptions(512, SHAPE.slots(), SHAPE.blocks() * CacheShape.BLOCK_TOKENS, format, invariant, true);
            return this == PORTABLE || this == PORTABLE_AND_FREE ? options.withoutWarpgroups() : options;
        }
    }

    /// A model, how it runs, and what is peculiar about it.
    private record Case(String model, KvFormat kvFormat, Mode mode) {

        private Model open() {
            return model.equals(GOLDEN) ? GoldenData.model() : Model.open(model);
        }
    }

    static Stream<Case> cases() {
        String everyExpertHasAllTokens = ROUND.replace("experts=4", "experts=2");
        String mostExpertsHaveNone = ROUND.replace("experts=4,active=2", "experts=24,active=1");
        Stream<Case> quick = Stream.of(
                new Case(everyExpertHasAllTokens + "?format=fp8", KvFormat.E4M3, Mode.PORTABLE),
                new Case(mostExpertsHaveNone + "?format=nvfp4", KvFormat.BF16, Mode.PORTABLE_AND_FREE),
                new Case(ODD, KvFormat.BF16, Mode.PORTABLE),
                new Case(ROUND + ",latent=64", KvFormat.BF16, Mode.APART_ON_WARPGROUPS),
                new Case(ROUND + "?format=fp8", KvFormat.BF16, Mode.APART_ON_WARPGROUPS));
        Stream<Case> slow = Stream.of(
                new Case(ROUND, KvFormat.BF16, Mode.PORTABLE),
                new Case(WIDE, KvFormat.E4M3, Mode.PORTABLE),
                new Case(GOLDEN, KvFormat.BF16, Mode.PORTABLE),
                new Case(GOLDEN, KvFormat.BF16, Mode.APART_ON_WARPGROUPS),
                new Case("synthetic:tiny", KvFormat.BF16, Mode.PORTABLE),
                new Case("synthetic:tiny", KvFormat.E4M3, Mode.APART_ON_WARPGROUPS),
                new Case("synthetic:tiny-fp8", KvFormat.E4M3, Mode.PORTABLE),
                new Case("synthetic:tiny?format=nvfp4", KvFormat.BF16, Mode.APART_ON_WARPGROUPS),
                new Case(ODD + "?format=fp8", KvFormat.E4M3, Mode.PORTABLE_AND_FREE),
                new Case(ROUND + "?format=nvfp4", KvFormat.BF16, Mode.APART_ON_WARPGROUPS));
        return Boolean.getBoolean("sidewinder.long") ? Stream.concat(quick, slow) : quick;
    }

    /// What came of a scenario: by sequence, but for the experts.
    ///
    /// @param products launches of the largest step, or of its prompts, that read matrices
    private record Seen(List<float[][]> logits, List<List<byte[]>> states, List<List<byte[]>> blocks, List<byte[]> kept, List<Long> expertTokens,
            List<String> products) {}

    @ParameterizedTest
    @MethodSource("cases")
    void isBitForBitAStepOfGeneratedTokensAndAStepOfPrompts(Case each) {
        Seen together = play(each, true, SEED);
        Seen apart = play(each, false, SEED + 1);

        for (int i = 0; i < apart.logits().size(); i++) {
            assertThat(together.logits().get(i)).as("logits of sequence %d", i).isDeepEqualTo(apart.logits().get(i));
            assertThat(together.states().get(i)).as("state of sequence %d", i).containsExactlyElementsOf(apart.states().get(i));
            assertThat(together.blocks().get(i)).as("keys and values of sequence %d", i).containsExactlyElementsOf(apart.blocks().get(i));
        }
        assertThat(together.kept()).as("the state kept on the way").containsExactlyElementsOf(apart.kept());
        assertThat(together.expertTokens()).as("tokens of experts").isEqualTo(apart.expertTokens());
        if (each.mode() != Mode.APART_ON_WARPGROUPS) {
            assertThat(together.products()).as("launches that read matrices").hasSameSizeAs(apart.products());
        } else {
            // what prompts do on other kernels has a launch of each kind
            long onWarpgroups = apart.products().stream().filter(kernel -> kernel.startsWith("sm90")).count();
            assertThat(together.products().stream().filter(kernel -> kernel.startsWith("sm90"))).hasSize((int) onWarpgroups);
            assertThat(together.products()).hasSize(apart.products().size() + (int) onWarpgroups);
        }
    }

    /// Where bits may depend on what else runs, tokens that are generated beside many rows of prompts go where those go.
    @Test
    void staysCloseWhereGeneratedTokensTakeTheKernelsOfPrompts() {
        var free = new Case(ROUND, KvFormat.BF16, Mode.TOGETHER_ON_WARPGROUPS);
        Seen together = play(free, true, SEED);
        Seen apart = play(free, false, SEED);
        for (int i = 0; i < apart.logits().size(); i++) {
            for (int position = 0; position < apart.logits().get(i).length; position++) {
                float[] expected = apart.logits().get(i)[position];
                float[] actual = together.logits().get(i)[position];
                assertThat(relativeError(expected, actual)).as("sequence %d, position %d", i, position).isLessThan(Tolerance.BF16.relativeError());
            }
        }
        assertThat(together.products()).as("launches that read matrices").hasSameSizeAs(apart.products());
        assertThat(together.products().stream().filter(kernel -> !kernel.startsWith("sm90"))).as("the head, twice").hasSize(2);
    }

    /// Three sequences generate; beside them come a prompt in two pieces that keeps a state on its way, a short one, and one that
    /// goes on from within a block.
    private static Seen play(Case each, boolean together, long seed) {
        CudaOptions options = each.mode().options(each.kvFormat());
        try (Model model = each.open()) {
            FrameShape frames = CacheLayout.of(model.config(), each.kvFormat()).frames(SHAPE.slots(), SHAPE.blocks());
            var memory = new BackendMemory(frames, new HostShape(2, 6));
            try (CudaBackend backend = EmulatedBackend.open(model, memory, options, EmulatorSettings.withSeed(seed).lazily())) {
                var runner = new FrameRunner(backend, memory, SEED);
                var random = new Random(SEED);
                List<Run> generating = new ArrayList<>();
                for (int prompt : new int[] {5, 7, 3}) {
                    generating.add(runner.admit(Optional.empty(), randomTokens(random, prompt + GENERATED, model), prompt));
                    runner.prefill(generating.getLast());
                }
                int[] kept = randomTokens(random, 134, model);
                Run inTwoPieces = runner.admit(Optional.of(PARTITION), kept, 133);
                Run small = runner.admit(Optional.empty(), randomTokens(random, 9, model), 8);
                Run withinABlock = runner.admit(Optional.empty(), randomTokens(random, 17, model), 17);
                Run first = generating.get(0);
                Run second = generating.get(1);
                Run third = generating.get(2);

                step(runner, together, Piece.of(withinABlock, 10), Piece.of(second, 1));
                List<String> products = step(runner, together, Piece.of(second, 1), new Piece(inTwoPieces, 132, List.of(128), Optional.empty(), true), Piece.of(first, 1),
                        Piece.of(withinABlock, 7), Piece.of(third, 1), Piece.of(small, 7));
                step(runner, together, Piece.of(first, 1), Piece.of(small, 1), Piece.of(third, 1));
                step(runner, together, Piece.of(small, 1), Piece.of(third, 1), Piece.of(inTwoPieces, 1));
                backend.idle();
                List<Run> runs = List.of(first, second, third, inTwoPieces, small, withinABlock);
                return seen(runner, runs, kept, backend, model, options, products);
            }
        }
    }

    /// All pieces in one step, or those of generated tokens in one and those of prompts in the next.
    ///
    /// @return the kernels of the last one that read matrices
    private static List<String> step(FrameRunner runner, boolean together, Piece... pieces) {
        Piece[] last = pieces;
        if (!together) {
            runner.step(Arrays.stream(pieces).filter(piece -> piece.run().promptLeft() <= 0).toArray(Piece[]::new));
            last = Arrays.stream(pieces).filter(piece -> piece.run().promptLeft() > 0).toArray(Piece[]::new);
        }
        Piece[] recorded = last;
        return Emulator.recording(() -> runner.step(recorded)).stream().map(RecordedLaunch::kernel).filter(PRODUCTS.asPredicate()).toList();
    }

    private static Seen seen(FrameRunner runner, List<Run> runs, int[] keptTokens, CudaBackend backend, Model model, CudaOptions options,
            List<String> products) {
        List<Long> expertTokens = new ArrayList<>();
        ExpertLoad load = backend.expertLoad().orElseThrow();
        for (int layer = 0; layer < load.layers().size(); layer++) {
            for (int expert = 0; expert < load.layers().get(layer).experts(); expert++) {
                expertTokens.add(load.tokens(layer, expert));
            }
        }
        List<float[][]> logits = new ArrayList<>();
        List<List<byte[]>> states = new ArrayList<>();
        List<List<byte[]>> blocks = new ArrayList<>();
        for (Run run : runs) {
            logits.add(Arrays.copyOf(run.rows(), run.done()));
            blocks.add(runner.blocks(run));
            states.add(stateParts(runner.state(run), model, options));
        }
        for (Run run : runs) {
            runner.close(run);
        }
        Run resumed = runner.admit(Optional.of(PARTITION), keptTokens, 133);
        assertThat(resumed.reusedTokens()).isEqualTo(128);
        List<byte[]> kept = new ArrayList<>(stateParts(runner.state(resumed), model, options));
        runner.close(resumed);
        return new Seen(logits, states, blocks, kept, expertTokens, products);
    }

    private static List<byte[]> stateParts(byte[] state, Model model, CudaOptions options) {
        CacheLayout layout = CacheLayout.of(model.config(), options.kvFormat());
        return StateParts.of(state, model.config(), layout.recurrentOffset(), layout.historyOffset());
    }
}
