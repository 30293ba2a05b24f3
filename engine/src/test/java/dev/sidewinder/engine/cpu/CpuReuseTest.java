package dev.sidewinder.engine.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.FrameRunner;
import dev.sidewinder.engine.FrameRunner.Piece;
import dev.sidewinder.engine.FrameRunner.Run;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.StateParts;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.model.Model;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/// Cold and cached, suspended and never suspended, forked and copied: the same bits, wherever the memory lies and whatever was in it
/// before, around the edges of blocks. A state behind generated tokens serves as well as one behind a prompt: there is one
/// recurrence for both.
@ParameterizedClass
@MethodSource("variants")
class CpuReuseTest {

    private static final String ALL_KINDS = "synthetic:tiny,layers=M*-EM,hidden=80,vocab=300,mamba-heads=6,"
            + "mamba-head-dim=24,groups=2,state=20,query-heads=6,kv-heads=2,head-dim=24,dense=72,experts=5,active=2,"
            + "intermediate=40,shared=56,latent=48";
    private static final Partition PARTITION = new Partition(1, 2);
    private static final int LONGEST = 400;
    private static final int[] EDGES = {1, 2, 127, 128, 129, 255, 256, 257, 300};

    record Variant(String location, Arithmetic arithmetic, CpuOptions.Products products) {}

    static Stream<Variant> variants() {
        return Stream.of(new Variant(ALL_KINDS, Arithmetic.F32, CpuOptions.Products.VECTOR),
                new Variant(ALL_KINDS, Arithmetic.BF16, CpuOptions.Products.BEST),
                new Variant("synthetic:tiny", Arithmetic.BF16, CpuOptions.Products.BEST));
    }

    private final Variant variant;
    private final Model model;
    private final int[] tokens;
    private CpuBackend backend;
    private FrameRunner runner;
    private float[][] cold;

    CpuReuseTest(Variant variant) {
        this.variant = variant;
        model = Model.open(variant.location());
        tokens = randomTokens(new Random(21), LONGEST);
    }

    @BeforeEach
    void open() {
        CpuCacheLayout layout = CpuCacheLayout.of(model.config(), variant.arithmetic());
        FrameShape frames = layout.frames(5, 16);
        var memory = new BackendMemory(frames, new HostShape(3, 12));
        backend = new CpuBackend(model.config(), model.weights(), memory,
                new CpuOptions(variant.arithmetic(), 2, 512, variant.products()), LoadProgress.SILENT);
        runner = new FrameRunner(backend, memory, 5);
        cold = cold(tokens);
    }

    @AfterEach
    void close() {
        backend.close();
        model.close();
    }

    private int[] randomTokens(Random random, int count) {
        return random.ints(count, 0, model.config().vocabSize()).toArray();
    }

    /// Alone, in one piece, and without a use of the cache. The beginning of a sequence has the same rows.
    private float[][] cold(int[] sequence) {
        Run run = runner.admit(Optional.empty(), sequence, sequence.length);
        runner.prefill(run);
        runner.close(run);
        return run.rows();
    }

    private static void assertSame(int from, Run run, float[][] expected, String what) {
        for (int position = from; position < run.done(); position++) {
            int at = position;
            int difference = Arrays.mismatch(run.rows()[position], expected[position]);
            assertThat(difference).as(() -> what + ", position " + at + ": first differing logit").isEqualTo(-1);
        }
    }

    private int[] first(int count) {
        return Arrays.copyOf(tokens, count);
    }

    @Test
    void cachedIsCold() {
        for (int length : EDGES) {
            // given the prompt with its state kept at every block below its last token
            int[] sequence = first(length + 20);
            int kept = (length - 1) / 128;
            Run first = runner.admit(Optional.of(PARTITION), sequence, length);
            runner.prefill(first, Arrays.copyOf(new int[] {128, 256}, kept));
            runner.generate(first, 10);

            // when it comes again, while the first still goes on
            Run second = runner.admit(Optional.of(PARTITION), sequence, length);
            assertThat(second.reusedTokens()).as("reused of %d", length).isEqualTo(128 * kept);
            runner.prefill(second);
            runner.step(Piece.of(first, 1), Piece.of(second, 1));
            runner.generate(second, 19);
            runner.generate(first, 9);

            // then both are as if alone
            assertSame(0, first, cold, "first of " + length);
            assertSame(second.reusedTokens(), second, cold, "second of " + length);
            runner.close(first);
            runner.close(second);
            runner.cache().evictAll();
        }
    }

    /// Several in one piece, at the first and the last edge that it passes and at its end, and with others in the same step.
    @Test
    void aStateWrittenOnTheWayIsTheOneThatAPieceEndingThereLeaves() {
        // given a prompt in one piece that keeps its state at three positions, beside one that keeps none
        Run run = runner.admit(Optional.of(PARTITION), first(390), 390);
        Run other = runner.admit(Optional.empty(), first(100), 100);
        runner.step(Piece.of(other, 99), new Piece(run, 384, List.of(128, 256), Optional.of(CheckpointPoint.SYSTEM), true));
        runner.step(Piece.of(run, 6), Piece.of(other, 1));
        assertSame(0, run, cold, "with states kept on the way");
        assertSame(0, other, cold, "beside it");
        runner.close(run);
        runner.close(other);

        for (int position : new int[] {128, 256, 384}) {
            // when one goes on from each, and another one runs as far
            Run resumed = runner.admit(Optional.of(PARTITION), first(position + 5), position + 5);
            assertThat(resumed.reusedTokens()).isEqualTo(position);
            Run ended = runner.admit(Optional.empty(), first(position + 5), position + 5);
            runner.step(Piece.of(ended, position));

            // then both have the same state, bit for bit
            assertSameState(resumed, ended, "behind " + position);
            runner.close(resumed);
            runner.close(ended);
        }
    }

    /// A piece that begins inside a block, as that of a session does, and ends where the block does.
    @Test
    void aStateIsWrittenAtTheEndOfABlockThatAPieceBeginsIn() {
        for (int begin : new int[] {1, 100, 126, 127}) {
            Run run = runner.admit(Optional.of(PARTITION), first(200), 200);
            runner.step(Piece.of(run, begin));
            runner.step(new Piece(run, 128 - begin, Optional.of(CheckpointPoint.TURN_START)));
            Run resumed = runner.admit(Optional.of(PARTITION), first(200), 200);
            assertThat(resumed.reusedTokens()).isEqualTo(128);
            assertSameState(resumed, run, "from " + begin);
            runner.close(run);
            runner.close(resumed);
            runner.cache().evictAll();
        }
    }

    private void assertSameState(Run one, Run other, String what) {
        CpuCacheLayout layout = CpuCacheLayout.of(model.config(), variant.arithmetic());
        List<byte[]> expected = StateParts.of(runner.state(other), model.config(), layout.recurrentOffset(), layout.historyOffset());
        assertThat(StateParts.of(runner.state(one), model.config(), layout.recurrentOffset(), layout.historyOffset())).as(what)
                .isNotEmpty().containsExactlyElementsOf(expected);
    }

    @Test
    void aStateBehindGeneratedTokensServesAPrompt() {
        for (int promptTokens : new int[] {5, 127, 200}) {
            // given a sequence whose state is kept behind a token that a decode step ran
            Run first = runner.admit(Optional.of(PARTITION), first(260), promptTokens);
            runner.prefill(first);
            while (first.done() < 256) {
                boolean edge = first.done() + 1 == 256;
                runner.step(new Piece(first, 1, edge ? Optional.of(CheckpointPoint.TURN_END) : Optional.empty()));
            }
            runner.close(first);

            // when a prompt holds what it generated
            Run second = runner.admit(Optional.of(PARTITION), first(300), 300);

            // then it goes on there, and is as if cold
            assertThat(second.reusedTokens()).isEqualTo(256);
            runner.prefill(second);
            assertSame(256, second, cold, "behind generated tokens");
            runner.close(second);
            runner.cache().evictAll();
        }
    }

    @Test
    void suspendedIsNeverSuspended() {
        for (int length : EDGES) {
            Run run = runner.admit(Optional.of(PARTITION), first(length + 3), length);
            while (run.done() + 128 < length) {
                runner.step(Piece.of(run, 128));
                suspendWhileOthersTakeItsMemory(run);
            }
            runner.prefill(run);
            for (int i = 0; i < 3; i++) {
                suspendWhileOthersTakeItsMemory(run);
                runner.generate(run, 1);
            }
            assertSame(0, run, cold, "suspended, " + length);
            runner.close(run);
        }
    }

    private void suspendWhileOthersTakeItsMemory(Run run) {
        runner.suspend(run);
        runner.cache().evictAll();
        var others = new Run[4];
        for (int i = 0; i < others.length; i++) {
            others[i] = runner.admit(Optional.empty(), randomTokens(new Random(i), 140), 140);
            runner.prefill(others[i]);
        }
        for (Run other : others) {
            runner.close(other);
        }
        runner.resume(run);
    }

    @Test
    void forkedIsCopied() {
        for (int at : new int[] {1, 127, 128, 129, 255, 256, 257}) {
            // given a sequence, and a fork behind its prompt that goes on with other tokens
            int[] right = first(at + 6);
            for (int i = at; i < right.length; i++) {
                right[i] = (right[i] + 1) % model.config().vocabSize();
            }
            float[][] expectedRight = cold(right);
            Run run = runner.admit(Optional.of(PARTITION), first(at + 6), at);
            runner.prefill(run);
            Run fork = runner.fork(run, right, at);

            // when both go on, in one step and apart, and one ends first
            runner.step(Piece.of(fork, 1), Piece.of(run, 1));
            runner.generate(run, 3);
            runner.generate(fork, 2);
            runner.close(run);
            runner.generate(fork, 3);

            assertSame(0, run, cold, "forked at " + at);
            assertSame(at, fork, expectedRight, "fork at " + at);
            runner.close(fork);
            runner.cache().evictAll();
        }
    }

    /// Prompts that begin alike and go on differently come, go on, are suspended, forked and dropped in a pool that is too small
    /// for them, so that prefixes are evicted and blocks move; none is ever different from itself alone.
    @Test
    void nothingThatHappensToMemoryShows() {
        for (long seed = 1; seed <= 3; seed++) {
            System.out.println("CpuReuseTest seed " + seed);
            var random = new Random(seed);
            int[][] all = new int[6][];
            float[][][] expected = new float[all.length][][];
            for (int i = 0; i < all.length; i++) {
                all[i] = first(LONGEST);
                int differs = 64 * random.nextInt(5);
                System.arraycopy(randomTokens(random, LONGEST - differs), 0, all[i], differs, LONGEST - differs);
                expected[i] = cold(all[i]);
            }
            List<Run> running = new ArrayList<>();
            List<Integer> which = new ArrayList<>();
            List<Integer> begun = new ArrayList<>();
            int reused = 0;
            for (int step = 0; step < 250; step++) {
                int i = running.isEmpty() ? 0 : random.nextInt(running.size());
                if (running.isEmpty() || running.size() < 2 && random.nextInt(6) == 0) {
                    int sequence = random.nextInt(all.length);
                    int prompt = 1 + random.nextInt(LONGEST - 40);
                    Run run = runner.admit(Optional.of(PARTITION), Arrays.copyOf(all[sequence], prompt + 8), prompt);
                    running.add(run);
                    which.add(sequence);
                    begun.add(run.done());
                    reused += run.done();
                } else if (random.nextInt(8) == 0) {
                    suspendWhileOneTakesItsMemory(running.get(i), random);
                } else if (!goOn(running.get(i), random)) {
                    assertSame(begun.get(i), running.get(i), expected[which.get(i)], "seed " + seed + ", step " + step);
                    runner.close(running.remove(i));
                    which.remove(i);
                    begun.remove(i);
                }
            }
            running.forEach(runner::close);
            assertThat(reused).as("tokens that were reused").isPositive();
            runner.cache().evictAll();
        }
    }

    /// One step of a sequence on the grid.
    ///
    /// @return whether there was anything left to run
    private boolean goOn(Run run, Random random) {
        if (run.done() == run.length()) {
            return false;
        }
        int count = run.promptLeft() <= 0 ? 1 : Math.min(run.promptLeft(), 128 * (1 + random.nextInt(2)));
        boolean edge = (run.done() + count) % 128 == 0;
        List<Integer> onTheWay = count > 128 && random.nextBoolean() ? List.of(run.done() + 128) : List.of();
        runner.step(new Piece(run, count, onTheWay, edge ? Optional.of(CheckpointPoint.INTERVAL) : Optional.empty(), false));
        return true;
    }

    private void suspendWhileOneTakesItsMemory(Run run, Random random) {
        runner.suspend(run);
        Run other = runner.admit(Optional.empty(), randomTokens(random, 100), 100);
        runner.prefill(other);
        runner.close(other);
        runner.resume(run);
    }
}
