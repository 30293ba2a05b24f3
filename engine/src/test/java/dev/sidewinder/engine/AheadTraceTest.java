package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
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
    private static final int TRACES_PER_SEED = 20;
    private static final Trace.Size SIZE = new Trace.Size(40, 20, 700, VOCAB - 1);
    private static final Trace.Size LONG = new Trace.Size(20, 250, 700, VOCAB - 1);

    static LongStream seeds() {
        return LongStream.rangeClosed(1, 10);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void everyRequestIsAsIfItWereAloneAndAwaited(long seed) {
        int ahead = 0;
        int unread = 0;
        for (long trace = seed * TRACES_PER_SEED; trace < (seed + 1) * TRACES_PER_SEED; trace++) {
            System.out.println("AheadTraceTest seed " + trace);
            Random random = new Random(trace);
            Supplier<FakeBackend> pool = TinyPools.draw(random, VOCAB);
            Supplier<FakeBackend> fakes = () -> pool.get().poisonedBy(VOCAB - 1);
            // In a third of the traces no row goes through the host's hands, in a third a tenth of them, in a third half.
            int hostShare = random.nextInt(3) == 0 ? 0 : random.nextBoolean() ? 2 : 10;
            var backend = new AheadBackend(fakes.get(), trace, hostShare);
            new TraceHarness(fakes::get).play(trace, trace % 2 == 0 ? SIZE : LONG, backend);
            ahead += backend.launchedAhead();
            unread += backend.unreadRun();
        }
        assertThat(ahead).as("steps launched ahead").isGreaterThan(100);
        assertThat(unread).as("tokens run unread").isGreaterThan(100);
    }
}
