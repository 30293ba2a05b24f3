package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.ROUND;
import static dev.sidewinder.engine.cuda.EmulatedBackend.SMALLEST;
import static dev.sidewinder.engine.cuda.EmulatedBackend.argMax;
import static dev.sidewinder.engine.cuda.EmulatedBackend.options;
import static dev.sidewinder.engine.cuda.EmulatedBackend.randomTokens;
import static dev.sidewinder.engine.cuda.EmulatedBackend.run;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.cuda.kernel.SampleRows;
import dev.sidewinder.engine.ExpertLoad;
import dev.sidewinder.engine.LaunchedStep;
import dev.sidewinder.engine.RowSampler;
import dev.sidewinder.engine.Sample;
import dev.sidewinder.engine.SpoiledWeights;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.TokenSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// Steps with generated tokens and pieces of prompts that are launched before the tokens of the step in front have been read:
/// a row whose token never comes is padded, on the device and without the host, in the middle of such a step.
@Timeout(300)
class CudaMixedAheadTest {

    private static final CacheShape SHAPE = new CacheShape(10, 5);
    private static final int BAD = 63;
    private static final int NEXT = 7;

    /// The largest logit of each row; of some rows nothing is allowed.
    private record Greedy(IntPredicate forbidden) implements RowSampler {

        private static final Greedy ALL = new Greedy(_ -> false);

        @Override
        public boolean describe(int row, SampleRows rows, int at) {
            SampleRows described = rows.begin(at);
            if (forbidden.test(row)) {
                described.mask(_ -> 0);
            }
            return true;
        }

        @Override
        public Sample sample(int row, float[] values, int offset) {
            throw new AssertionError("row " + row + " on the host");
        }
    }

    private static CudaBackend open(Model model) {
        return EmulatedBackend.open(model, SHAPE, options(256, SHAPE), EmulatorSettings.withSeed(9).lazily());
    }

    private static TestSequence sequence(Model model, int slot, int tokens) {
        return TestSequence.at(slot, 2, randomTokens(new Random(100 + slot), tokens, model));
    }

    /// The entry of a token that the step before chooses; the test's sequence gets it when it is known.
    private static BatchEntry unread(BatchEntry before, TestSequence memory) {
        int from = before.from() + before.count();
        return new BatchEntry(before.sequence(), new int[from], from, 1, TokenSource.UNREAD, LogitRows.LAST, memory);
    }

    private static List<Integer> tokens(Sample[] samples) {
        List<Integer> tokens = new ArrayList<>();
        for (Sample sample : samples) {
            tokens.add(token(sample));
        }
        return tokens;
    }

    @Test
    void choosesWhatStepsChooseThatWaitForEachOther() {
        try (Model model = Model.open(ROUND)) {
            List<Integer> ahead = new ArrayList<>();
            try (CudaBackend cuda = open(model)) {
                TestSequence[] s = sequences(model);
                BatchEntry[] first = {s[0].next(5, LogitRows.LAST), s[1].next(3, LogitRows.LAST)};
                LaunchedStep one = cuda.launch(new Batch(1, List.of(first)));
                one.sample(Greedy.ALL);
                BatchEntry[] second = {unread(first[0], s[0]), s[2].next(128, LogitRows.NONE), unread(first[1], s[1])};
                LaunchedStep two = cuda.launch(new Batch(2, List.of(second)));
                ahead.addAll(tokens(one.await()));
                two.sample(Greedy.ALL);
                BatchEntry[] third = {s[2].next(10, LogitRows.LAST), unread(second[2], s[1]), unread(second[0], s[0])};
                LaunchedStep three = cuda.launch(new Batch(3, List.of(third)));
                ahead.addAll(tokens(two.await()));
                three.sample(Greedy.ALL);
                LaunchedStep four = cuda.launch(new Batch(4, List.of(unread(third[0], s[2]), unread(third[2], s[0]),
                        s[3].next(4, LogitRows.LAST), unread(third[1], s[1]))));
                ahead.addAll(tokens(three.await()));
                four.sample(Greedy.ALL);
                ahead.addAll(tokens(four.await()));
            }
            List<Integer> waiting = new ArrayList<>();
            try (CudaBackend cuda = open(model)) {
                TestSequence[] s = sequences(model);
                choose(cuda, waiting, s, 0, 1);
                run(cuda, s[2].next(128, LogitRows.NONE));
                choose(cuda, waiting, s, 0, 1);
                choose(cuda, waiting, s, 2, 1, 0);
                choose(cuda, waiting, s, 2, 0, 3, 1);
            }
            assertThat(ahead).isEqualTo(waiting);
        }
    }

    private static TestSequence[] sequences(Model model) {
        return new TestSequence[] {sequence(model, 0, 5), sequence(model, 1, 3), sequence(model, 2, 138), sequence(model, 3, 4)};
    }

    /// Runs what is left of each of these alone, and notes the largest logit of each.
    private static void choose(CudaBackend cuda, List<Integer> chosen, TestSequence[] sequences, int... which) {
        for (int i : which) {
            int token = argMax(run(cuda, sequences[i].next(sequences[i].remaining(), LogitRows.LAST))[0]);
            chosen.add(token);
            sequences[i].append(token);
        }
    }

    /// The model has no attention: what a token computes depends on the state alone, and not on its position.
    @Test
    void aRowWithoutATokenTouchesNoStateAndNoCounterBesidePrompts() {
        int generatedOnce = 1;
        try (Model model = Model.open(ROUND.replace("layers=M*E-", "layers=ME-")); CudaBackend cuda = open(model)) {
            // given two sequences of which one is allowed no token, both told only when the next step is launched
            TestSequence healthy = sequence(model, 0, 5);
            TestSequence stuck = sequence(model, 1, 3);
            BatchEntry[] prompts = {stuck.next(3, LogitRows.LAST), healthy.next(5, LogitRows.LAST)};
            LaunchedStep before = cuda.launch(new Batch(1, List.of(prompts)));
            assertThat(before.sample(new Greedy(row -> row == 0))).isTrue();

            // when that step has a piece of a prompt too
            LaunchedStep mixed = cuda.launch(new Batch(2, List.of(unread(prompts[0], stuck), unread(prompts[1], healthy),
                    sequence(model, 2, 20).next(20, LogitRows.LAST))));
            assertThat(before.await()[0]).isEqualTo(Sample.NOTHING_ALLOWED);
            assertThat(mixed.sample(Greedy.ALL)).isTrue();
            Sample[] samples = mixed.await();

            // then its row ran nothing
            assertThat(samples[0]).isNull();
            assertThat(samples[1]).isInstanceOf(Sample.Chosen.class);
            assertThat(samples[2]).isInstanceOf(Sample.Chosen.class);
            cuda.idle();
            ExpertLoad load = cuda.expertLoad().orElseThrow();
            assertThat(LongStream.range(0, 4).map(expert -> load.tokens(0, (int) expert)).sum()).isEqualTo(2 * (3 + 5 + 20 + generatedOnce));

            // and its state is that behind its prompt
            TestSequence untouched = TestSequence.at(3, 2, stuck.lastTokens(3));
            run(cuda, untouched.next(3, LogitRows.NONE));
            untouched.append(7);
            float[] expected = run(cuda, untouched.next(1, LogitRows.LAST))[0];
            assertThat(run(cuda, generated(prompts[0], stuck, 4, 7))[0]).isEqualTo(expected);
        }
    }

    /// NaN in a piece of a prompt, in a generated token, and in what a padded row finds in memory reach nobody.
    @Test
    void nanStaysWhereItComesFrom() {
        int[] good = new Random(1).ints(135, 0, BAD).toArray();
        int[] bad = good.clone();
        bad[130] = BAD;
        int[] healthyPrompt = {1, 2, 3, 4, 5};
        try (Model model = Model.open(SMALLEST)) {
            int[] chosen;
            float[][] rows;
            var weights = SpoiledWeights.at(model.weights(), BAD, 3, Float.NaN);
            try (CudaBackend cuda = EmulatedBackend.open(model, weights, SHAPE, options(512, SHAPE), 5)) {
                // given one that generates, one whose next token is NaN and one that chooses none because of it
                TestSequence healthy = TestSequence.at(0, 2, healthyPrompt);
                TestSequence nanNow = TestSequence.at(1, 2, new int[] {6, 7});
                TestSequence nanBefore = TestSequence.at(2, 2, new int[] {8, BAD});
                BatchEntry[] prompts = {healthy.next(5, LogitRows.LAST), nanNow.next(2, LogitRows.LAST), nanBefore.next(2, LogitRows.LAST)};
                LaunchedStep before = cuda.launch(new Batch(1, List.of(prompts)));
                assertThat(before.sample(Greedy.ALL)).isTrue();
                nanNow.append(BAD);

                // when they run beside a prompt that is spoiled and one that is not
                BatchEntry piece = TestSequence.at(4, 2, good).next(135, LogitRows.LAST);
                LaunchedStep mixed = cuda.launch(new Batch(2, List.of(unread(prompts[2], nanBefore),
                        TestSequence.at(3, 2, bad).next(135, LogitRows.NONE), unread(prompts[0], healthy), piece,
                        nanNow.next(1, LogitRows.LAST))));
                Sample[] first = before.await();
                assertThat(mixed.sample(Greedy.ALL)).isTrue();
                Sample[] samples = mixed.await();

                // then each says so of itself, and of nobody else
                assertThat(first[2]).isEqualTo(Sample.NOT_FINITE);
                assertThat(samples[0]).isNull();
                assertThat(samples[3]).isEqualTo(Sample.NOT_FINITE);
                assertThat(IntStream.range(0, 5).filter(entry -> !mixed.isFinite(entry))).containsExactly(1);
                chosen = new int[] {token(first[0]), token(samples[1]), token(samples[2])};
                rows = run(cuda, generated(prompts[0], healthy, 6, NEXT),
                        generated(piece, TestSequence.at(4, 2, good), 135, NEXT));
            }
            // and the other two are as if alone
            try (CudaBackend cuda = EmulatedBackend.open(model, SHAPE, options(512, SHAPE), 6)) {
                TestSequence[] alone = {TestSequence.at(0, 2, healthyPrompt), TestSequence.at(4, 2, good)};
                BatchEntry[] entries = {alone[0].next(5, LogitRows.LAST), alone[1].next(135, LogitRows.LAST)};
                int first = argMax(run(cuda, entries[0])[0]);
                int second = argMax(run(cuda, generated(entries[0], alone[0], 5, first))[0]);
                assertThat(chosen).containsExactly(first, second, argMax(run(cuda, entries[1])[0]));
                assertThat(rows[0]).isEqualTo(run(cuda, generated(entries[0], alone[0], 6, NEXT))[0]);
                assertThat(rows[1]).isEqualTo(run(cuda, generated(entries[1], alone[1], 135, NEXT))[0]);
            }
        }
    }

    private static int token(Sample sample) {
        return ((Sample.Chosen) sample).token();
    }

    /// A generated token of a sequence whose tokens before it have run.
    private static BatchEntry generated(BatchEntry before, TestSequence memory, int from, int token) {
        int[] tokens = new int[from + 1];
        tokens[from] = token;
        return new BatchEntry(before.sequence(), tokens, from, 1, TokenSource.GENERATED, LogitRows.LAST, memory);
    }
}
