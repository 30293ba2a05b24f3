package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.TraceTotals.Count;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.function.Supplier;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Seeded traces in tiny pools, against the fake backend: arrivals, next turns of answers and what is computed for them beforehand, retries, bursts, cancels, priorities, tenants, slow readers, resets
/// of the prefix cache, sessions and their forks, pauses, deadlines, NaN, failures of the device, and the end of service. A failure is
/// made smaller and printed as a test; `play` with its seed plays the whole trace again.
///
/// Traces are played until the books have been checked often enough: ten thousand times, or a million in a night with
/// `-Dsidewinder.test.checks=1000000`. There is no limit in time for all of them; a trace has one of two minutes.
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class TraceTest {

    private static final int VOCAB = 97;
    private static final int SEEDS = 15;
    private static final int TRACES_PER_SEED = 12;
    private static final long CHECKS = Long.getLong("sidewinder.test.checks", 10_000);
    /// Many short answers; fewer that grow by a block or two; and, in the tightest pools, long ones that have to leave for each other.
    private static final Trace.Size SHORT = new Trace.Size(40, 20, 700, VOCAB - 1);
    private static final Trace.Size LONG = new Trace.Size(20, 250, 700, VOCAB - 1);
    private static final Trace.Size LONGEST = new Trace.Size(24, 500, 700, VOCAB - 1);

    private TraceTotals all = TraceTotals.NONE;
    private double longestWait;

    static LongStream seeds() {
        return LongStream.rangeClosed(1, SEEDS);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void everyRequestIsAsIfItWereAloneAndNothingIsLeaked(long seed) {
        TraceTotals totals = TraceTotals.NONE;
        // Seeds in a row would have the same first numbers.
        var seeds = new SplittableRandom(seed);
        for (long trace = 0; trace < TRACES_PER_SEED || totals.of(Count.CHECKS) < CHECKS / SEEDS + 1; trace++) {
            totals = totals.plus(play(trace, seeds.nextLong()));
        }
        all = all.plus(totals);
        System.out.println("TraceTest seed " + seed + ": " + totals);
    }

    private TraceTotals play(long trace, long seed) {
        System.out.println("TraceTest trace " + trace + ", seed " + seed);
        Random random = new Random(seed);
        boolean tightest = trace % 2 == 0;
        Supplier<FakeBackend> backends = tightest ? TinyPools.drawTightest(random, VOCAB) : TinyPools.draw(random, VOCAB);
        var harness = new TraceHarness(() -> backends.get().poisonedBy(VOCAB - 1));
        harness.play(seed, tightest ? LONGEST : trace % 4 == 1 ? LONG : SHORT);
        longestWait = Math.max(longestWait, harness.longestWait());
        return harness.totals();
    }

    /// Traces in which nothing happens find nothing.
    @AfterAll
    void enoughHasHappened() {
        System.out.println("TraceTest: " + all + "; the longest wait was for " + longestWait + " times the work before it");
        Map<Count, Integer> least = Map.ofEntries(Map.entry(Count.SUSPENDED, 100), Map.entry(Count.RECOMPUTED, 10), Map.entry(Count.RESETS, 100),
                Map.entry(Count.REUSED, 10_000), Map.entry(Count.FOLLOW_UPS, 300), Map.entry(Count.ANSWERS_REUSED, 50), Map.entry(Count.PREPARED, 5_000), Map.entry(Count.TURNS, 300), Map.entry(Count.FORKS, 50), Map.entry(Count.REFUSED, 50),
                Map.entry(Count.LATE, 30), Map.entry(Count.NUMERIC, 20), Map.entry(Count.CANCELLED, 100), Map.entry(Count.RETRIES, 100),
                Map.entry(Count.BURSTS, 20), Map.entry(Count.PAUSES, 50), Map.entry(Count.FAULTS, 3), Map.entry(Count.DRAINS, 10),
                Map.entry(Count.CLOSES, 3));
        assertThat(all.of(Count.CHECKS)).as("checks of all books").isGreaterThanOrEqualTo(CHECKS);
        least.forEach((count, number) -> assertThat(all.of(count)).as("%s in %s", count, all).isGreaterThanOrEqualTo(number));
    }
}
