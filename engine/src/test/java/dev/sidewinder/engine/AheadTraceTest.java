package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.TraceTotals.Count;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.function.Supplier;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The traces of [TraceTest] on a backend whose steps are launched before the tokens of the step before have been read, and
/// run when it likes: every request is as if it were alone on one that is awaited step by step.
@Timeout(300)
class AheadTraceTest {

    private static final int VOCAB = 97;
    private static final int TRACES_PER_SEED = 12;
    private static final Trace.Size SIZE = new Trace.Size(40, 20, 700, VOCAB - 1);
    private static final Trace.Size LONGEST = new Trace.Size(24, 500, 700, VOCAB - 1);

    static LongStream seeds() {
        return LongStream.rangeClosed(1, 10);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void everyRequestIsAsIfItWereAloneAndAwaited(long seed) {
        int ahead = 0;
        int unread = 0;
        TraceTotals totals = TraceTotals.NONE;
        // Seeds in a row would have the same first numbers.
        var seeds = new SplittableRandom(-seed);
        for (int trace = 0; trace < TRACES_PER_SEED; trace++) {
            long traceSeed = seeds.nextLong();
            System.out.println("AheadTraceTest trace " + trace + ", seed " + traceSeed);
            Random random = new Random(traceSeed);
            boolean tightest = trace % 2 == 0;
            Supplier<FakeBackend> pool = tightest ? TinyPools.drawTightest(random, VOCAB) : TinyPools.draw(random, VOCAB);
            Supplier<FakeBackend> fakes = () -> pool.get().poisonedBy(VOCAB - 1);
            // In a third of the traces no row goes through the host's hands, in a third a tenth of them, in a third half.
            int hostShare = random.nextInt(3) == 0 ? 0 : random.nextBoolean() ? 2 : 10;
            List<AheadBackend> backends = new ArrayList<>();
            var harness = new TraceHarness(fakes::get);
            harness.play(traceSeed, tightest ? LONGEST : SIZE, () -> {
                backends.add(new AheadBackend(fakes.get(), traceSeed, hostShare));
                return backends.getLast();
            });
            totals = totals.plus(harness.totals());
            ahead += backends.getFirst().launchedAhead();
            unread += backends.getFirst().unreadRun();
        }
        System.out.println("AheadTraceTest seed " + seed + ": " + totals);
        assertThat(ahead).as("steps launched ahead").isGreaterThan(100);
        assertThat(unread).as("tokens run unread").isGreaterThan(100);
        assertThat(totals.of(Count.SUSPENDED) + totals.of(Count.RECOMPUTED)).as("sequences that had to leave").isPositive();
    }
}
