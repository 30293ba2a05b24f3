package dev.sidewinder.engine;

import static dev.sidewinder.engine.TestEngine.CACHE;
import static dev.sidewinder.engine.TestEngine.VOCAB;
import static dev.sidewinder.engine.TestEngine.all;
import static dev.sidewinder.engine.TestEngine.failureOf;
import static dev.sidewinder.engine.TestEngine.kindOf;
import static dev.sidewinder.engine.TestEngine.lastOf;
import static dev.sidewinder.engine.TestEngine.outcome;
import static dev.sidewinder.engine.TestEngine.request;
import static dev.sidewinder.engine.TestEngine.slow;
import static dev.sidewinder.engine.TestEngine.stub;
import static dev.sidewinder.engine.TestEngine.stubTokens;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.sidewinder.engine.EngineException.Kind;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class EngineTest {

    private final TestEngine test = new TestEngine();

    @AfterEach
    void close() {
        test.close();
    }

    // ---- events

    @Test
    void generatesTheTokensThatTheBackendMakesMostLikely() throws InterruptedException {
        test.start(stub());
        List<GenerationEvent> events = all(test.submit(request(10, 5, 6, 7)));
        int[] expected = stubTokens(10, 5, 6, 7);
        for (int i = 0; i < 10; i++) {
            assertThat(events.get(i)).isEqualTo(new GenerationEvent.Token(0, i, expected[i], null, false));
        }
        assertThat(events).hasSize(11).last().isEqualTo(new GenerationEvent.Finished(0, FinishReason.LENGTH));
    }

    @Test
    void endsAtAStopTokenUnlessFewerThanMinTokensCameBefore() throws InterruptedException {
        test.start(stub());
        int stop = stubTokens(10, 5, 6, 7)[3];
        List<GenerationEvent> events = all(test.submit(new GenerationRequest("r", new int[] {5, 6, 7}, 10, 0, Set.of(stop), 1, -1, SamplingParams.greedy())));
        assertThat(events).hasSize(5).last().isEqualTo(new GenerationEvent.Finished(0, FinishReason.STOP));
        assertThat(events.get(3)).isEqualTo(new GenerationEvent.Token(0, 3, stop, null, true));

        events = all(test.submit(new GenerationRequest("r", new int[] {5, 6, 7}, 10, 4, Set.of(stop), 1, -1, SamplingParams.greedy())));
        assertThat(((GenerationEvent.Token) events.get(3)).token()).as("the stop token is masked").isNotEqualTo(stop);
    }

    @Test
    void givesEveryChoiceItsOwnStreamOfRandomNumbers() throws InterruptedException {
        test.start(new FakeBackend(100, CACHE));
        var sampling = new SamplingParams(1, 0, 1, 0, 1, 0, 0, Map.of(), List.of(), List.of(), 7, -1);
        Outcome three = outcome(test.submit(new GenerationRequest("r", new int[] {1, 2}, 20, 0, Set.of(), 3, -1, sampling)), 3);
        Outcome again = outcome(test.submit(new GenerationRequest("r", new int[] {1, 2}, 20, 0, Set.of(), 3, -1, sampling)), 3);
        assertThat(three.differenceFromSolo(again)).as("same seed, same text").isEmpty();
        assertThat(three.tokens(0)).isNotEqualTo(three.tokens(1)).isNotEqualTo(three.tokens(2));
        Outcome one = outcome(test.submit(new GenerationRequest("r", new int[] {1, 2}, 20, 0, Set.of(), 1, -1, sampling)), 1);
        assertThat(one.tokens(0)).as("the first of one is the first of three").isEqualTo(three.tokens(0));
    }

    @Test
    void scoresThePromptBeforeTheFirstTokenOfAnyChoice() throws InterruptedException {
        test.start(new FakeBackend(100, CACHE));
        int[] prompt = new int[300];
        Arrays.setAll(prompt, i -> i * 7 % 100);
        List<GenerationEvent> events = all(test.submit(new GenerationRequest("r", prompt, 2, 0, Set.of(), 2, 3, SamplingParams.greedy())));
        assertThat(events.getFirst()).isInstanceOfSatisfying(GenerationEvent.PromptScored.class, scored -> {
            assertThat(scored.logprobs()).hasSize(300);
            assertThat(scored.logprobs()[0]).as("nothing stands before the first").isNull();
            assertThat(Arrays.asList(scored.logprobs()).subList(1, 300)).doesNotContainNull()
                    .allSatisfy(logprobs -> assertThat(logprobs.topTokens()).hasSize(3));
        });
        assertThat(events).hasSize(1 + 2 * 3);
    }

    @Test
    void scoresThePromptOnlyWhenNoTokenIsAllowed() throws InterruptedException {
        test.start(stub());
        assertThat(all(test.submit(request(0, 1, 2, 3)))).containsExactly(new GenerationEvent.Finished(0, FinishReason.LENGTH));
        List<GenerationEvent> events = all(test.submit(new GenerationRequest("r", new int[] {1, 2, 3}, 0, 0, Set.of(), 2, 0, SamplingParams.greedy())));
        assertThat(events).hasSize(3);
        assertThat(events.getFirst()).isInstanceOf(GenerationEvent.PromptScored.class);
    }

    @Test
    void saysWhenThereIsNothingLeftToRead() throws InterruptedException {
        var release = new CountDownLatch(1);
        test.start(new FakeBackend(VOCAB, CACHE).hangingAt(1, new CountDownLatch(1), release));
        Generation generation = test.submit(request(1, 1));
        assertThat(generation.next(Duration.ofMillis(20))).as("nothing within 20 ms").isNull();
        assertThat(generation.poll()).isNull();
        release.countDown();
        all(generation);
        assertThatIllegalStateException().isThrownBy(generation::poll);
        assertThatIllegalStateException().isThrownBy(() -> generation.next(Duration.ofSeconds(1)));
        GenerationTimes times = generation.times();
        assertThat(times.submitted()).isLessThanOrEqualTo(times.scheduled());
        assertThat(times.scheduled()).isLessThanOrEqualTo(times.firstToken()).isPositive();
    }

    // ---- cancelling

    @Test
    void freesMemoryWithinTwoStepsOfACancel() throws InterruptedException {
        test.start(slow());
        Generation running = test.submit(request(4000, 1));
        assertThat(running.next(Duration.ofSeconds(10))).isNotNull();
        running.cancel();
        running.cancel();
        assertThat(lastOf(running)).isEqualTo(new GenerationEvent.Finished(0, FinishReason.CANCELLED));
        test.awaitRest();
        assertThat(test.stepsToFree()).singleElement().satisfies(steps -> assertThat(steps).isLessThanOrEqualTo(2));
    }

    @Test
    void cancelsInTheMiddleOfAPromptAndInTheQueue() throws InterruptedException {
        var reached = new CountDownLatch(1);
        var release = new CountDownLatch(1);
        test.start(new FakeBackend(VOCAB, CACHE).hangingAt(2, reached, release));
        Generation inPrompt = test.submit(request(10, new int[3000]));
        List<Generation> queued = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            queued.add(test.submit(request(10, 1, 2)));
        }
        reached.await();
        inPrompt.cancel();
        queued.forEach(Generation::cancel);
        release.countDown();
        assertThat(lastOf(inPrompt)).isEqualTo(new GenerationEvent.Finished(0, FinishReason.CANCELLED));
        for (Generation generation : queued) {
            assertThat(lastOf(generation)).isEqualTo(new GenerationEvent.Finished(0, FinishReason.CANCELLED));
        }
        test.awaitRest();
    }

    @Test
    void cancelsOneChoiceAndLetsTheOthersGoOn() throws InterruptedException {
        test.start(slow());
        Generation generation = test.submit(new GenerationRequest("r", new int[] {1}, 100, 0, Set.of(), 3, -1, SamplingParams.greedy()));
        generation.next(Duration.ofSeconds(10));
        generation.cancel(1);
        generation.cancel(1);
        assertThat(all(generation)).contains(new GenerationEvent.Finished(0, FinishReason.LENGTH), new GenerationEvent.Finished(1, FinishReason.CANCELLED),
                new GenerationEvent.Finished(2, FinishReason.LENGTH));
    }

    // ---- drain, close, rest

    @Test
    void drainsWhatWasAcceptedAndTakesNothingNew() throws InterruptedException {
        test.start(slow());
        Generation running = test.submit(request(50, 1));
        Engine.Place reserved = test.engine().reserve(1, 1);
        test.engine().drain();
        assertThat(test.engine().status().state()).isEqualTo(EngineStatus.State.DRAINING);
        assertThat(kindOf(() -> test.engine().reserve(1, 1))).isEqualTo(Kind.DRAINING);
        assertThat(all(reserved.submit(request(2, 1)))).hasSize(3);
        assertThat(all(running)).hasSize(51);
    }

    @Test
    void failsWhatStillRunsWhenItIsClosed() throws InterruptedException {
        var backend = slow();
        test.start(backend);
        Generation running = test.submit(request(4000, 1));
        assertThat(running.next(Duration.ofSeconds(10))).isNotNull();
        Engine.Place reserved = test.engine().reserve(1, 1);
        test.engine().close();
        test.engine().close();
        assertThat(test.engine().thread().isAlive()).isFalse();
        assertThat(backend.isClosed()).isTrue();
        assertThat(failureOf(running)).isEqualTo(Kind.DRAINING);
        assertThat(failureOf(reserved.submit(request(1, 1)))).isEqualTo(Kind.DRAINING);
        assertThat(kindOf(() -> test.engine().reserve(1, 1))).isEqualTo(Kind.DRAINING);
        assertThat(test.engine().status().state()).isEqualTo(EngineStatus.State.CLOSED);
        assertThat(test.engine().status().atRest()).isTrue();
        assertThat(test.engine().queue().requests()).isZero();
    }

    @Test
    void sleepsWhenThereIsNothingToDo() throws InterruptedException {
        test.start(stub());
        all(test.submit(request(5, 1)));
        test.awaitRest();
        var threads = ManagementFactory.getThreadMXBean();
        long before = threads.getThreadCpuTime(test.engine().thread().threadId());
        Thread.sleep(300);
        assertThat(threads.getThreadCpuTime(test.engine().thread().threadId()) - before).as("nanoseconds of CPU in 300 ms at rest").isLessThan(10_000_000);
        assertThat(all(test.submit(request(1, 1)))).hasSize(2);
    }

    @Test
    void servesManyReadersAtOnce() throws InterruptedException {
        test.start(stub());
        AtomicLong tokens = new AtomicLong();
        List<Thread> readers = new ArrayList<>();
        for (int i = 0; i < 16; i++) {
            int prompt = i;
            Generation generation = test.submit(request(300, prompt));
            readers.add(Thread.startVirtualThread(() -> {
                try {
                    int[] expected = stubTokens(300, prompt);
                    List<GenerationEvent> events = all(generation);
                    for (int t = 0; t < 300; t++) {
                        if (((GenerationEvent.Token) events.get(t)).token() == expected[t]) {
                            tokens.incrementAndGet();
                        }
                    }
                } catch (InterruptedException interrupt) {
                    throw new IllegalStateException(interrupt);
                }
            }));
        }
        for (Thread reader : readers) {
            reader.join();
        }
        assertThat(tokens.get()).isEqualTo(16 * 300);
        test.awaitRest();
    }
}
