package dev.sidewinder.engine;

import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Seeded traces of arrivals, cancels and mixed lengths in tiny pools, against the fake backend. A failure prints the
/// trace; `play` with its seed plays it again.
@Timeout(300)
class TraceTest {

    private static final int VOCAB = 97;
    private static final int SEEDS = 15;
    /// For a night: -Dsidewinder.test.traces=100000
    private static final int TRACES_PER_SEED = Integer.getInteger("sidewinder.test.traces", 20);
    /// Many short answers, or fewer that grow by a block or two and so have to leave for each other.
    private static final Trace.Size SHORT = new Trace.Size(40, 20, 700, VOCAB - 1);
    private static final Trace.Size LONG = new Trace.Size(20, 250, 700, VOCAB - 1);

    private long suspended;
    private long recomputed;

    static LongStream seeds() {
        return LongStream.rangeClosed(1, SEEDS);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void everyRequestIsAsIfItWereAloneAndNothingIsLeaked(long seed) {
        for (long trace = seed * TRACES_PER_SEED; trace < (seed + 1) * TRACES_PER_SEED; trace++) {
            System.out.println("TraceTest seed " + trace);
            Random random = new Random(trace);
            Supplier<FakeBackend> backends = TinyPools.draw(random, VOCAB);
            var harness = new TraceHarness(() -> backends.get().poisonedBy(VOCAB - 1));
            harness.play(trace, trace % 2 == 0 ? SHORT : LONG);
            suspended += harness.preemptions().copied();
            recomputed += harness.preemptions().recomputed();
        }
        System.out.println("TraceTest seed " + seed + ": " + suspended + " suspended, " + recomputed + " computed again");
    }
}
