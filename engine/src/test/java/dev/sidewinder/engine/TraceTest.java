package dev.sidewinder.engine;

import dev.sidewinder.kvcache.FrameShape;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Seeded traces of arrivals, cancels and mixed lengths in tiny pools, against the fake backend. A failure prints the
/// trace; `play` with its seed plays it again.
@Timeout(300)
class TraceTest {

    private static final int VOCAB = 97;
    private static final int TRACES_PER_SEED = 20;
    private static final Trace.Size SIZE = new Trace.Size(40, 20, 700, VOCAB - 1);

    static LongStream seeds() {
        return LongStream.rangeClosed(1, 15);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void everyRequestIsAsIfItWereAloneAndNothingIsLeaked(long seed) {
        for (long trace = seed * TRACES_PER_SEED; trace < (seed + 1) * TRACES_PER_SEED; trace++) {
            System.out.println("TraceTest seed " + trace);
            Random random = new Random(trace);
            FrameShape shape = FrameShape.holding(2 + random.nextInt(5), 8 + random.nextInt(25), 1 + random.nextInt(4));
            new TraceHarness(() -> new FakeBackend(VOCAB, shape).poisonedBy(VOCAB - 1)).play(trace, SIZE);
        }
    }
}
