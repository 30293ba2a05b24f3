package dev.sidewinder.engine;

import static dev.sidewinder.engine.TestEngine.CACHE;
import static dev.sidewinder.engine.TestEngine.VOCAB;
import static dev.sidewinder.engine.TestEngine.all;
import static dev.sidewinder.engine.TestEngine.await;
import static dev.sidewinder.engine.TestEngine.failureOf;
import static dev.sidewinder.engine.TestEngine.kindOf;
import static dev.sidewinder.engine.TestEngine.outcome;
import static dev.sidewinder.engine.TestEngine.request;
import static dev.sidewinder.engine.TestEngine.stub;
import static dev.sidewinder.engine.TestEngine.stubTokens;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.EngineException.Kind;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class EngineFailureTest {

    private final TestEngine test = new TestEngine();

    @AfterEach
    void close() {
        test.close();
    }

    // ---- slow readers and deadlines

    @Test
    void pausesARequestWhoseReaderIsBehindAndNobodyElse() throws InterruptedException {
        test.start(stub());
        Generation unread = test.submit(request(5000, 1));
        await(() -> test.engine().status().paused() == 1);
        assertThat(((RequestStream) unread).undeliveredBytes()).isBetween(RequestStream.PAUSE_BYTES, RequestStream.PAUSE_BYTES + 1000);

        assertThat(all(test.submit(request(500, 2)))).as("others go on").hasSize(501);
        assertThat(test.engine().status().paused()).isEqualTo(1);

        List<GenerationEvent> events = all(unread);
        assertThat(events).as("and so does it, once it is read").hasSize(5001);
        int[] expected = stubTokens(5000, 1);
        for (int i = 0; i < 5000; i++) {
            assertThat(((GenerationEvent.Token) events.get(i)).token()).isEqualTo(expected[i]);
        }
        test.awaitRest();
    }

    @Test
    void pausesEveryChoiceOfARequestWhoseReaderIsBehind() throws InterruptedException {
        // given three choices, the first of which goes over the limit in the middle of a step
        test.start(stub());
        Generation unread = test.submit(new GenerationRequest("three", new int[] {1, 2}, 1000, 0, Set.of(), 3, -1,
                SamplingParams.greedy()));
        await(() -> test.engine().status().paused() == 3);

        // when it is read at last
        List<GenerationEvent> events = all(unread);

        // then no token is missing, and the engine lives
        assertThat(events).hasSize(3 * 1001);
        assertThat(events).noneMatch(event -> event instanceof GenerationEvent.Failed);
        assertThat(test.engine().status().state()).isEqualTo(EngineStatus.State.SERVING);
        test.awaitRest();
    }

    @Test
    void failsARequestWhoseReaderStandsStill() throws InterruptedException {
        test.start(stub());
        Generation unread = test.submit(request(5000, 1));
        await(() -> test.engine().status().paused() == 1);
        for (int i = 0; i < 10; i++) {
            unread.poll();
        }
        test.clock().addAndGet(Duration.ofSeconds(29).toNanos());
        test.awaitDeadlineLook();
        test.clock().addAndGet(Duration.ofSeconds(29).toNanos());
        test.awaitDeadlineLook();
        assertThat(test.engine().status().paused()).as("it made progress 29 s ago").isEqualTo(1);
        test.clock().addAndGet(Duration.ofSeconds(2).toNanos());
        await(() -> test.engine().status().paused() == 0);
        assertThat(failureOf(unread)).isEqualTo(Kind.SLOW_READER);
        test.awaitRest();
    }

    @Test
    void failsWhatWaitsTooLongInTheQueue() throws InterruptedException {
        test.start(stub());
        List<Generation> unread = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            unread.add(test.submit(request(1500, 1)));
        }
        await(() -> test.engine().status().paused() == 4);
        Generation waiting = test.submit(request(1, 1));
        await(() -> test.engine().status().waiting() == 1);
        test.clock().addAndGet(Duration.ofSeconds(61).toNanos());
        assertThat(failureOf(waiting)).isEqualTo(Kind.QUEUE_TIMEOUT);
        unread.forEach(Generation::close);
        test.awaitRest();
    }

    @Test
    void failsWhatIsNotDoneWithinItsDeadlines() throws InterruptedException {
        var reached = new CountDownLatch(1);
        var release = new CountDownLatch(1);
        test.start(new FakeBackend(VOCAB, CACHE).hangingAt(1, reached, release));
        Generation noToken = test.submit(request(10, new int[3000]));
        reached.await();
        test.clock().addAndGet(Duration.ofSeconds(301).toNanos());
        release.countDown();
        assertThat(failureOf(noToken)).isEqualTo(Kind.DEADLINE_EXCEEDED);

        Generation unread = test.submit(request(1500, 1));
        await(() -> test.engine().status().paused() == 1);
        test.clock().addAndGet(Duration.ofSeconds(3601).toNanos());
        await(() -> test.engine().status().paused() == 0);
        assertThat(failureOf(unread)).as("over the total before the stall").isEqualTo(Kind.DEADLINE_EXCEEDED);
        test.awaitRest();
    }

    // ---- failures

    @Test
    void failsTheRequestWhoseLogitsAreNotFiniteAndLeavesItsNeighboursAlone() throws InterruptedException {
        test.start(new FakeBackend(100, CACHE).poisonedBy(99));
        var bad = new GenerationRequest("bad", new int[] {1, 99}, 10, 0, Set.of(), 2, -1, SamplingParams.greedy());
        var ban = new SamplingParams(0, 0, 1, 0, 1, 0, 0, Map.of(99, -100f), List.of(), List.of(), 0, 2);
        var good = new GenerationRequest("good", new int[] {1, 2}, 200, 0, Set.of(), 1, -1, ban);
        Outcome alone = outcome(test.submit(good), 1);
        Generation neighbour = test.submit(good);
        assertThat(failureOf(test.submit(bad))).isEqualTo(Kind.NUMERIC);
        assertThat(outcome(neighbour, 1).differenceFromSolo(alone)).isEmpty();
        assertThat(test.engine().status().numericFailures()).isEqualTo(1);
        test.awaitRest();
    }

    @Test
    void failsEverythingWhenTheBackendFails() throws InterruptedException {
        var reached = new CountDownLatch(1);
        var release = new CountDownLatch(1);
        var backend = new FakeBackend(VOCAB, CACHE).hangingAt(2, reached, release).failingAt(3);
        test.start(backend);
        List<Generation> generations = new ArrayList<>();
        generations.add(test.submit(request(100, 1)));
        reached.await();
        Engine.Place place = test.engine().reserve(1, 10);
        for (int i = 0; i < 8; i++) {
            generations.add(test.submit(request(100, 1)));
        }
        release.countDown();
        for (Generation generation : generations) {
            assertThat(failureOf(generation)).isEqualTo(Kind.ENGINE_FAILED);
        }
        await(() -> test.engine().status().state() == EngineStatus.State.FAILED);
        assertThat(kindOf(() -> test.engine().reserve(1, 1))).isEqualTo(Kind.ENGINE_FAILED);
        assertThat(failureOf(place.submit(request(1, 1)))).as("reserved before, submitted after").isEqualTo(Kind.ENGINE_FAILED);
        assertThat(test.engine().queue().requests()).isZero();
        test.engine().close();
        assertThat(backend.isClosed()).isTrue();
        assertThat(test.engine().status().state()).isEqualTo(EngineStatus.State.FAILED);
    }

    @Test
    void failsEverythingWhenTheBackendThrowsAnError() throws InterruptedException {
        test.start(new FakeBackend(VOCAB, CACHE).before(step -> {
            throw new StackOverflowError("planted");
        }));
        assertThat(failureOf(test.submit(request(1, 1)))).isEqualTo(Kind.ENGINE_FAILED);
    }
}
