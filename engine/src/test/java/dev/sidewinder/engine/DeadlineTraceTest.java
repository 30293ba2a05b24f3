package dev.sidewinder.engine;

import static dev.sidewinder.engine.TestEngine.await;
import static dev.sidewinder.engine.TestEngine.lastOf;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.EngineObserver.RequestOutcome;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Far more requests than places, of several priorities and tenants, on a clock that every step moves: each ends within a second
/// of the first deadline that it misses, as an error that names it, and leaves nothing behind.
@Timeout(120)
class DeadlineTraceTest {

    private static final Duration QUEUE = Duration.ofSeconds(5);
    private static final Duration FIRST = Duration.ofSeconds(8);
    private static final Duration TOTAL = Duration.ofSeconds(20);
    private static final Duration LATE = Duration.ofSeconds(1);
    private static final int REQUESTS = 60;

    private record End(RequestOutcome outcome, GenerationTimes times, long nanos) {

        Duration age() {
            return Duration.ofNanos(nanos - times.submitted());
        }
    }

    private Engine engine;
    private final AtomicLong clock = new AtomicLong(1);
    private final List<End> ends = Collections.synchronizedList(new ArrayList<>());

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void everyRequestEndsWithinASecondOfItsDeadline(long seed) throws InterruptedException {
        System.out.println("DeadlineTraceTest seed " + seed);
        Random random = new Random(seed);
        Random pace = new Random(seed + 1);
        var memory = new BackendMemory(FrameShape.holding(4, 200, 8), HostShape.NONE);
        var limits = new EngineLimits(3, 128 + 3 + 128 * (int) (seed % 3), 2 * REQUESTS, 1 << 20, 10_000,
                new Timeouts(QUEUE, FIRST, TOTAL, Duration.ofSeconds(30)), EngineLimits.DEFAULT_TOKEN_GAP);
        List<Generation> generations = new ArrayList<>();
        // All but the first come on the engine thread: its clock would run away from any other.
        var backend = new WatchedBackend(new FakeBackend(20, memory), batch -> {
            clock.addAndGet((20L + pace.nextInt(400)) * 1_000_000);
            for (int i = 1 + random.nextInt(3); i > 0 && generations.size() < REQUESTS; i--) {
                generations.add(submit(engine, random));
            }
            return batch;
        });
        engine = Engine.start(backend, limits, new EngineObserver() {
            @Override
            public void requestEnded(RequestOutcome outcome, GenerationTimes times) {
                ends.add(new End(outcome, times, clock.get()));
            }
        }, clock::get);
        try (Engine closing = engine) {
            Generation first = submit(engine, new Random(1));
            await(() -> ends.size() == 1 + REQUESTS && engine.status().atRest());
            generations.add(first);
            assertThat(engine.queue().requests()).isZero();
            assertThat(engine.queue().tokens()).isZero();
            assertThat(engine.status().state()).isEqualTo(EngineStatus.State.SERVING);
        }

        Set<EngineException.Kind> kinds = EnumSet.noneOf(EngineException.Kind.class);
        int failed = 0;
        for (Generation generation : generations) {
            if (lastOf(generation) instanceof GenerationEvent.Failed failure) {
                kinds.add(failure.cause().kind());
                failed++;
            }
        }
        assertThat(kinds).containsExactlyInAnyOrder(EngineException.Kind.QUEUE_TIMEOUT, EngineException.Kind.DEADLINE_EXCEEDED);
        assertThat(ends.stream().filter(end -> end.outcome() == RequestOutcome.FAILED).count()).isEqualTo(failed);
        ends.forEach(DeadlineTraceTest::check);
    }

    private static void check(End end) {
        Duration limit = end.times().scheduled() == 0 ? QUEUE : end.times().firstToken() == 0 ? FIRST : TOTAL;
        assertThat(end.age()).as("%s", end).isLessThanOrEqualTo(limit.plus(LATE));
        if (end.outcome() == RequestOutcome.FAILED) {
            assertThat(end.age()).as("%s", end).isGreaterThan(limit);
        }
    }

    /// Prompts of up to thousands of tokens, 128 or a few times that in a step: some have no token within 8 s, and some answers
    /// take more than 20 s.
    private static Generation submit(Engine engine, Random random) {
        int length = random.nextInt(3) == 0 ? 4000 + random.nextInt(4000) : 1 + random.nextInt(300);
        int[] prompt = random.ints(length, 0, 20).toArray();
        int maxTokens = random.nextInt(3) == 0 ? 200 : 1 + random.nextInt(20);
        var request = new GenerationRequest("r", prompt, maxTokens, 0, Set.of(), 1 + random.nextInt(2), -1, SamplingParams.greedy())
                .withUrgency(random.nextInt(5) - 2, "tenant" + random.nextInt(3));
        try (Engine.Place place = engine.reserve(request.choices(), (long) length * request.choices())) {
            return place.submit(request);
        }
    }
}
