package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.randomTokens;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.FrameRunner;
import dev.sidewinder.engine.FrameRunner.Piece;
import dev.sidewinder.engine.FrameRunner.Run;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.model.Model;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Sequences that begin alike and go on differently come, run together, are suspended, forked and dropped in a pool that is too small
/// for them, so that prefixes are evicted and blocks move; each has, bit for bit, the logits that it has alone.
///
/// With `-Dsidewinder.long=true` more of them, and for longer.
@Timeout(900)
class CudaReuseTrafficTest {

    private static final boolean LONG = Boolean.getBoolean("sidewinder.long");
    private static final int STEPS = LONG ? 2000 : 100;
    private static final int GENERATED = 6;
    private static final int[] PROMPTS = {127, 129, 200, 256, 257, 300};
    private static final int MOST_RUNNING = 3;
    /// What three sequences of three blocks may hold, and nothing more: states that are kept have to go, and blocks to move.
    private static final BackendMemory MEMORY = new BackendMemory(new FrameShape(6, 3), new HostShape(2, 8));
    private static final Partition PARTITION = new Partition(3, 4);

    private Random random;
    private FrameRunner runner;
    private final List<Traveller> running = new ArrayList<>();

    /// A sequence on its way.
    ///
    /// @param began tokens that it did not have to run
    private record Traveller(Run run, int which, int began) {}

    static LongStream seeds() {
        return LongStream.rangeClosed(1, LONG ? 10 : 2);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void nothingThatHappensToMemoryShows(long seed) {
        System.out.println("CudaReuseTrafficTest seed " + seed);
        random = new Random(seed);
        CudaOptions options = EmulatedBackend.options(1024, new CacheShape(3, MOST_RUNNING));
        EmulatorSettings settings = EmulatorSettings.withSeed(seed);
        try (Model model = Model.open(EmulatedBackend.SMALLEST);
                CudaBackend backend = EmulatedBackend.open(model, MEMORY, options, seed % 2 == 0 ? settings : settings.lazily())) {
            runner = new FrameRunner(backend, MEMORY, seed);
            int[][] tokens = sequences(model);
            float[][][] expected = new float[PROMPTS.length][][];
            for (int i = 0; i < PROMPTS.length; i++) {
                expected[i] = cold(tokens[i], PROMPTS[i]);
            }
            int reused = play(tokens, expected);
            assertThat(reused).as("tokens that were reused").isPositive();
            assertThat(runner.cache().pool().use().movedBlocks()).as("blocks that were moved").isPositive();
        }
    }

    /// Some begin as the first one does, some as the third.
    private int[][] sequences(Model model) {
        int[][] tokens = new int[PROMPTS.length][];
        for (int i = 0; i < PROMPTS.length; i++) {
            tokens[i] = randomTokens(random, PROMPTS[i] + GENERATED, model);
            System.arraycopy(tokens[i > 2 ? 2 : 0], 0, tokens[i], 0, 32 * random.nextInt(i > 2 ? 7 : 4));
        }
        return tokens;
    }

    private float[][] cold(int[] tokens, int promptTokens) {
        Run run = runner.admit(Optional.empty(), tokens, promptTokens);
        runner.prefill(run);
        runner.generate(run, GENERATED);
        runner.close(run);
        return run.rows();
    }

    private int play(int[][] tokens, float[][][] expected) {
        int reused = 0;
        for (int step = 0; step < STEPS; step++) {
            if (running.size() < MOST_RUNNING && (running.isEmpty() || random.nextInt(4) == 0)) {
                int which = random.nextInt(tokens.length);
                // together they fit, so nobody has to wait for others
                Run run = runner.admit(Optional.of(PARTITION), tokens[which], PROMPTS[which]);
                running.add(new Traveller(run, which, run.done()));
                reused += run.done();
            }
            Traveller any = running.get(random.nextInt(running.size()));
            switch (random.nextInt(10)) {
                case 0 -> suspendForAStep(any);
                case 1 -> fork(any, tokens);
                case 2 -> drop(any);
                default -> goOn();
            }
            for (Traveller traveller : List.copyOf(running)) {
                if (traveller.run().done() == traveller.run().length()) {
                    check(traveller, expected);
                    drop(traveller);
                }
            }
        }
        for (Traveller traveller : List.copyOf(running)) {
            check(traveller, expected);
            drop(traveller);
        }
        return reused;
    }

    /// Some of those that run, in one step, each with a token or a piece on the grid.
    private void goOn() {
        List<Piece> pieces = new ArrayList<>();
        for (Traveller traveller : running) {
            Run run = traveller.run();
            if (pieces.isEmpty() || random.nextBoolean()) {
                int left = run.promptLeft();
                int count = left <= 0 ? 1 : Math.min(left, 128 * (1 + random.nextInt(2)));
                boolean edge = left > 0 && (run.done() + count) % CacheShape.BLOCK_TOKENS == 0;
                List<Integer> onTheWay = count > 128 && random.nextBoolean() ? List.of(run.done() + 128) : List.of();
                pieces.add(new Piece(run, count, onTheWay, edge ? Optional.of(CheckpointPoint.INTERVAL) : Optional.empty(), false));
            }
        }
        runner.step(pieces.toArray(Piece[]::new));
    }

    private void suspendForAStep(Traveller traveller) {
        runner.suspend(traveller.run());
        running.remove(traveller);
        if (running.isEmpty()) {
            runner.step();
        } else {
            goOn();
        }
        runner.resume(traveller.run());
        running.add(traveller);
    }

    /// The same tokens once more, from where the first one stands.
    private void fork(Traveller traveller, int[][] tokens) {
        Run run = traveller.run();
        boolean standsWhereAPromptMayBeCut = run.promptLeft() <= 0 || run.done() % CacheShape.BLOCK_TOKENS == 0;
        if (running.size() < MOST_RUNNING && run.done() > 0 && standsWhereAPromptMayBeCut) {
            running.add(new Traveller(runner.fork(run, tokens[traveller.which()], PROMPTS[traveller.which()]), traveller.which(), run.done()));
        }
    }

    private void drop(Traveller traveller) {
        running.remove(traveller);
        runner.close(traveller.run());
    }

    private void check(Traveller traveller, float[][][] expected) {
        for (int position = traveller.began(); position < traveller.run().done(); position++) {
            assertThat(traveller.run().rows()[position]).as("prompt of %d, position %d", PROMPTS[traveller.which()], position)
                    .isEqualTo(expected[traveller.which()][position]);
        }
    }
}
