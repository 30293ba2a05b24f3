package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sidewinder.engine.cpu.Arithmetic;
import dev.sidewinder.engine.cpu.CpuBackend;
import dev.sidewinder.engine.cpu.CpuOptions;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.LogitRows;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ExpertLoadTest {

    /// Layers 2 and 4 have four experts, of which a token goes to two.
    private static final String MODEL = "synthetic:tiny,layers=M*E-E,hidden=32,vocab=64,mamba-heads=2,mamba-head-dim=16,groups=1,"
            + "state=16,query-heads=2,kv-heads=1,head-dim=16,dense=32,experts=4,active=2,intermediate=32,shared=32";

    @Test
    void startsWithZeroForEveryExpert() {
        ExpertLoad load = empty();

        assertThat(load.layers()).containsExactly(new ExpertLoad.Layer(2, 4), new ExpertLoad.Layer(4, 4));
        for (int expert = 0; expert < 4; expert++) {
            assertThat(load.tokens(1, expert)).isZero();
        }
        assertThat(load.imbalance(0)).isZero();
    }

    @Test
    void wantsCountsEverySoManySteps() {
        ExpertLoad load = empty();
        assertThat(load.isDue(63)).isFalse();
        assertThat(load.isDue(64)).isTrue();

        load.record(70, counts(1, 1, 1, 1));

        assertThat(load.isDue(133)).isFalse();
        assertThat(load.isDue(134)).isTrue();
        assertThat(load.isBehind(70)).isFalse();
        assertThat(load.isBehind(71)).isTrue();
    }

    @Test
    void imbalanceIsTheMostOverTheMean() {
        ExpertLoad load = empty();

        load.record(64, counts(10, 20, 40, 10));
        assertThat(load.imbalance(0)).isEqualTo(1.0, within(1e-12));

        load.record(128, counts(20, 20, 40, 20));
        assertThat(load.imbalance(0)).isEqualTo(0.6, within(1e-12));
        load.record(192, counts(40, 40, 40, 40));
        assertThat(load.imbalance(0)).isZero();
        assertThat(load.tokens(0, 2)).isEqualTo(40);
    }

    @Test
    void looksBackOverTheLastSteps() {
        // given 64 steps in which one expert got everything, and equal shares since
        ExpertLoad load = empty();
        load.record(64, counts(1000, 0, 0, 0));
        for (int steps = 128; steps <= 1024; steps += 64) {
            load.record(steps, counts(1000 + steps, steps, steps, steps));
            assertThat(load.imbalance(0)).as("after %d steps", steps).isPositive();
        }

        // then the window has passed them once it begins behind them
        load.record(1088, counts(1000 + 1088, 1088, 1088, 1088));
        assertThat(load.imbalance(0)).isZero();
        assertThat(load.tokens(0, 0)).isEqualTo(2088);
    }

    /// Whatever the pace at which counts come, the window is at least as long as promised and at most a pace longer.
    @Test
    void windowKeepsItsLengthWhateverThePace() {
        for (long seed = 0; seed < 50; seed++) {
            var random = new Random(seed);
            ExpertLoad load = empty();
            long steps = 0;
            while (steps < 6000) {
                steps += 1 + random.nextInt(random.nextBoolean() ? 3 : 90);
                // one token to the first expert at every step up to the 3000th, and to the second one from there on
                load.record(steps, counts(Math.min(steps, 3000), Math.max(0, steps - 3000), 0, 0));
                long first = Math.max(0, 3000 - Math.max(0, steps - ExpertLoad.WINDOW_STEPS));
                if (steps > 3000 + ExpertLoad.WINDOW_STEPS + 2 * 90) {
                    assertThat(load.imbalance(0)).as("seed %d, step %d", seed, steps).isEqualTo(3.0);
                } else if (steps > 3000 && first > 0) {
                    assertThat(load.imbalance(0)).as("seed %d, step %d", seed, steps).isLessThan(3.0);
                }
            }
        }
    }

    @Test
    void workIsOutOfBalanceByWhatTheBusiestPlaceDoesMore() {
        ExpertLoad load = withWork();
        assertThat(load.countsWork()).isTrue();
        assertThat(load.workImbalance(0)).isZero();

        load.record(64, counts(1, 1, 1, 1), List.of(new ExpertLoad.Work(300, 200), new ExpertLoad.Work(200, 200)));
        assertThat(load.workImbalance(0)).isEqualTo(0.5, within(1e-12));
        assertThat(load.workImbalance(1)).isZero();

        // what lies before the window counts no more
        for (int steps = 128; steps <= 1088; steps += 64) {
            load.record(steps, counts(1, 1, 1, 1), List.of(new ExpertLoad.Work(300 + 5L * steps, 200 + 4L * steps), new ExpertLoad.Work(200, 200)));
        }
        assertThat(load.workImbalance(0)).isEqualTo(0.25, within(1e-12));
        assertThat(load.workImbalance(1)).isZero();
    }

    @Test
    void hasNoNumberForWorkThatIsNotCounted() {
        ExpertLoad tokensAlone = empty();
        assertThat(tokensAlone.countsWork()).isFalse();
        assertThatThrownBy(() -> tokensAlone.workImbalance(0)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> tokensAlone.record(64, counts(1, 1, 1, 1), List.of(new ExpertLoad.Work(1, 1), new ExpertLoad.Work(1, 1))))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> withWork().record(64, counts(1, 1, 1, 1))).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void theCpuCountsEveryTokenOnceForEachOfItsExperts() {
        try (Model model = Model.open(MODEL);
                CpuBackend backend = new CpuBackend(model.config(), model.weights(), new CacheShape(4, 2),
                        new CpuOptions(Arithmetic.F32, 2, 512, CpuOptions.Products.SCALAR), LoadProgress.SILENT)) {
            ExpertLoad load = backend.expertLoad().orElseThrow();
            assertThat(load.countsWork()).isFalse();
            // given a prompt and a generated token
            var sequence = TestSequence.at(0, 2, new Random(1).ints(150, 0, 64).toArray());
            backend.forward(new Batch(1, List.of(sequence.next(150, LogitRows.NONE))));
            sequence.append(3);
            backend.forward(new Batch(2, List.of(sequence.next(1, LogitRows.LAST))));
            assertThat(sum(load, 0)).as("not handed over yet").isZero();

            // when nothing else is to do
            backend.idle();

            assertThat(sum(load, 0)).isEqualTo(2 * 151);
            assertThat(sum(load, 1)).isEqualTo(2 * 151);

            // and when steps follow each other without a rest, they are handed over at their pace
            for (int step = 3; step < 2 + ExpertLoad.RECORD_STEPS; step++) {
                sequence.append(step % 64);
                backend.forward(new Batch(step, List.of(sequence.next(1, LogitRows.LAST))));
                assertThat(sum(load, 0)).isEqualTo(2 * 151);
            }
            sequence.append(1);
            backend.forward(new Batch(99, List.of(sequence.next(1, LogitRows.LAST))));
            assertThat(sum(load, 0)).isEqualTo(2 * (151 + ExpertLoad.RECORD_STEPS));
        }
    }

    private static ExpertLoad empty() {
        try (Model model = Model.open(MODEL)) {
            return ExpertLoad.of(model.config());
        }
    }

    private static ExpertLoad withWork() {
        try (Model model = Model.open(MODEL)) {
            return ExpertLoad.withWork(model.config());
        }
    }

    /// The same for both layers.
    private static long[][] counts(long... tokens) {
        return new long[][] {tokens, tokens.clone()};
    }

    private static long sum(ExpertLoad load, int layer) {
        return IntStream.range(0, 4).mapToLong(expert -> load.tokens(layer, expert)).sum();
    }
}
