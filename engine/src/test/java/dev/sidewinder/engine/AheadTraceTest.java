package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.FrameShape;
import java.util.Random;
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
            FrameShape shape = FrameShape.holding(2 + random.nextInt(5), 8 + random.nextInt(25), 1 + random.nextInt(4));
            // In a third of the traces no row goes through the host's hands, in a third a tenth of them, in a third half.
            int hostShare = random.nextInt(3) == 0 ? 0 : random.nextBoolean() ? 2 : 10;
            var backend = new AheadBackend(fake(shape), trace, hostShare);
            new TraceHarness(() -> fake(shape)).play(trace, SIZE, backend);
            ahead += backend.launchedAhead();
            unread += backend.unreadRun();
        }
        assertThat(ahead).as("steps launched ahead").isGreaterThan(100);
        assertThat(unread).as("tokens run unread").isGreaterThan(100);
    }

    private static FakeBackend fake(FrameShape shape) {
        return new FakeBackend(VOCAB, shape).poisonedBy(VOCAB - 1);
    }
}
