package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.sidewinder.engine.EngineException.Kind;
import dev.sidewinder.engine.stub.StubBackend;
import dev.sidewinder.engine.stub.StubShape;
import dev.sidewinder.kvcache.CacheShape;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class EngineTest {

    private static final int VOCAB = 1000;
    private static final CacheShape CACHE = new CacheShape(64, 4);
    private static final EngineLimits LIMITS = new EngineLimits(4, 512, 16, 100_000, 8000);

    private final AtomicLong clock = new AtomicLong(1);
    private final List<Integer> stepsToFree = new ArrayList<>();
    private final EngineObserver observer = new EngineObserver() {
        @Override
        public void freedAfterCancel(int steps) {
            stepsToFree.add(steps);
        }
    };
    private CountDownLatch holdEngine;
    private Engine engine;

    @AfterEach
    void close() {
        if (holdEngine != null) {
            holdEngine.countDown();
        }
        if (engine != null) {
            engine.close();
        }
    }

    // ---- events

    @Test
    void generatesTheTokensThatTheBackendMakesMostLikely() throws InterruptedException {
        start(stub());
        List<GenerationEvent> events = all(submit(request(10, 5, 6, 7)));
        int[] expected = stubTokens(10, 5, 6, 7);
        for (int i = 0; i < 10; i++) {
            assertThat(events.get(i)).isEqualTo(new GenerationEvent.Token(0, i, expected[i], null, false));
        }
        assertThat(events).hasSize(11).last().isEqualTo(new GenerationEvent.Finished(0, FinishReason.LENGTH));
    }

    @Test
    void endsAtAStopTokenUnlessFewerThanMinTokensCameBefore() throws InterruptedException {
        start(stub());
        int stop = stubTokens(10, 5, 6, 7)[3];
        List<GenerationEvent> events = all(submit(new GenerationRequest("r", new int[] {5, 6, 7}, 10, 0, Set.of(stop), 1, -1, SamplingParams.greedy())));
        assertThat(events).hasSize(5).last().isEqualTo(new GenerationEvent.Finished(0, FinishReason.STOP));
        assertThat(events.get(3)).isEqualTo(new GenerationEvent.Token(0, 3, stop, null, true));

        events = all(submit(new GenerationRequest("r", new int[] {5, 6, 7}, 10, 4, Set.of(stop), 1, -1, SamplingParams.greedy())));
        assertThat(((GenerationEvent.Token) events.get(3)).token()).as("the stop token is masked").isNotEqualTo(stop);
    }

    @Test
    void givesEveryChoiceItsOwnStreamOfRandomNumbers() throws InterruptedException {
        start(new FakeBackend(100, CACHE));
        var sampling = new SamplingParams(1, 0, 1, 0, 1, 0, 0, Map.of(), List.of(), List.of(), 7, -1);
        Outcome three = outcome(submit(new GenerationRequest("r", new int[] {1, 2}, 20, 0, Set.of(), 3, -1, sampling)), 3);
        Outcome again = outcome(submit(new GenerationRequest("r", new int[] {1, 2}, 20, 0, Set.of(), 3, -1, sampling)), 3);
        assertThat(three.differenceFromSolo(again)).as("same seed, same text").isEmpty();
        assertThat(three.tokens(0)).isNotEqualTo(three.tokens(1)).isNotEqualTo(three.tokens(2));
        Outcome one = outcome(submit(new GenerationRequest("r", new int[] {1, 2}, 20, 0, Set.of(), 1, -1, sampling)), 1);
        assertThat(one.tokens(0)).as("the first of one is the first of three").isEqualTo(three.tokens(0));
    }

    @Test
    void scoresThePromptBeforeTheFirstTokenOfAnyChoice() throws InterruptedException {
        start(new FakeBackend(100, CACHE));
        int[] prompt = new int[300];
        Arrays.setAll(prompt, i -> i * 7 % 100);
        List<GenerationEvent> events = all(submit(new GenerationRequest("r", prompt, 2, 0, Set.of(), 2, 3, SamplingParams.greedy())));
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
        start(stub());
        assertThat(all(submit(request(0, 1, 2, 3)))).containsExactly(new GenerationEvent.Finished(0, FinishReason.LENGTH));
        List<GenerationEvent> events = all(submit(new GenerationRequest("r", new int[] {1, 2, 3}, 0, 0, Set.of(), 2, 0, SamplingParams.greedy())));
        assertThat(events).hasSize(3);
        assertThat(events.getFirst()).isInstanceOf(GenerationEvent.PromptScored.class);
    }

    @Test
    void saysWhenThereIsNothingLeftToRead() throws InterruptedException {
        var release = new CountDownLatch(1);
        start(new FakeBackend(VOCAB, CACHE).hangingAt(1, new CountDownLatch(1), release));
        Generation generation = submit(request(1, 1));
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
        start(slow());
        Generation running = submit(request(4000, 1));
        assertThat(running.next(Duration.ofSeconds(10))).isNotNull();
        running.cancel();
        running.cancel();
        assertThat(lastOf(running)).isEqualTo(new GenerationEvent.Finished(0, FinishReason.CANCELLED));
        awaitRest();
        assertThat(stepsToFree).singleElement().satisfies(steps -> assertThat(steps).isLessThanOrEqualTo(2));
    }

    @Test
    void cancelsInTheMiddleOfAPromptAndInTheQueue() throws InterruptedException {
        var reached = new CountDownLatch(1);
        var release = new CountDownLatch(1);
        start(new FakeBackend(VOCAB, CACHE).hangingAt(2, reached, release));
        Generation inPrompt = submit(request(10, new int[3000]));
        List<Generation> queued = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            queued.add(submit(request(10, 1, 2)));
        }
        reached.await();
        inPrompt.cancel();
        queued.forEach(Generation::cancel);
        release.countDown();
        assertThat(lastOf(inPrompt)).isEqualTo(new GenerationEvent.Finished(0, FinishReason.CANCELLED));
        for (Generation generation : queued) {
            assertThat(lastOf(generation)).isEqualTo(new GenerationEvent.Finished(0, FinishReason.CANCELLED));
        }
        awaitRest();
    }

    @Test
    void cancelsOneChoiceAndLetsTheOthersGoOn() throws InterruptedException {
        start(slow());
        Generation generation = submit(new GenerationRequest("r", new int[] {1}, 100, 0, Set.of(), 3, -1, SamplingParams.greedy()));
        generation.next(Duration.ofSeconds(10));
        generation.cancel(1);
        generation.cancel(1);
        assertThat(all(generation)).contains(new GenerationEvent.Finished(0, FinishReason.LENGTH), new GenerationEvent.Finished(1, FinishReason.CANCELLED),
                new GenerationEvent.Finished(2, FinishReason.LENGTH));
    }

    // ---- places

    @Test
    void refusesPlacesBeyondTheQueueInRequestsAndInTokens() {
        start(hanging());
        Engine.Place first = engine.reserve(15, 90_000);
        assertThat(kindOf(() -> engine.reserve(2, 0))).isEqualTo(Kind.OVERLOADED);
        assertThat(kindOf(() -> engine.reserve(1, 10_001))).isEqualTo(Kind.OVERLOADED);
        assertThat(engine.status().places()).isEqualTo(15);
        Engine.Place second = engine.reserve(1, 10_000);
        first.close();
        first.close();
        second.close();
        assertThat(engine.status().places()).isZero();
        assertThat(engine.queue().requests()).isZero();
        assertThat(engine.queue().tokens()).isZero();
    }

    @Test
    void takesARequestLargerThanTheQueueWhenNobodyElseWaits() {
        start(hanging());
        try (Engine.Place place = engine.reserve(40, 1_000_000)) {
            assertThat(kindOf(() -> engine.reserve(1, 0))).isEqualTo(Kind.OVERLOADED);
        }
        engine.reserve(1, 0).close();
    }

    @Test
    void givesNoMorePlacesThanThereAreWhoeverAsksAtOnce() throws InterruptedException {
        start(hanging());
        AtomicLong granted = new AtomicLong();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            threads.add(Thread.startVirtualThread(() -> {
                try {
                    engine.reserve(1, 100);
                    granted.incrementAndGet();
                } catch (EngineException refused) {
                    assertThat(refused.kind()).isEqualTo(Kind.OVERLOADED);
                }
            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        assertThat(granted.get()).isEqualTo(16);
    }

    @Test
    void correctsTheEstimateOnSubmission() {
        start(hanging());
        Engine.Place tooMuch = engine.reserve(1, 60_000);
        Engine.Place tooLittle = engine.reserve(1, 10);
        tooMuch.submit(request(1, new int[1000]));
        assertThat(engine.queue().tokens()).isEqualTo(1010);
        tooLittle.submit(request(1, new int[2000]));
        assertThat(engine.queue().tokens()).isEqualTo(3000);

        Engine.Place almostAll = engine.reserve(1, 96_000);
        Engine.Place late = engine.reserve(1, 0);
        assertThat(kindOf(() -> late.submit(request(1, new int[2000])))).as("does not fit any more").isEqualTo(Kind.OVERLOADED);
        almostAll.close();
        late.submit(request(1, new int[2000]));
        assertThat(engine.queue().tokens()).isEqualTo(5000);
    }

    @Test
    void takesSeveralPromptsOnOnePlace() throws InterruptedException {
        start(stub());
        Engine.Place place = engine.reserve(4, 100);
        List<Generation> generations = List.of(place.submit(request(3, 1)), place.submit(request(3, 2)), place.submit(request(3, 3)));
        assertThatIllegalArgumentException().isThrownBy(() -> place.submit(new GenerationRequest("r", new int[1], 1, 0, Set.of(), 2, -1, SamplingParams.greedy())));
        place.close();
        assertThatIllegalArgumentException().isThrownBy(() -> place.submit(request(1, 1))).withMessageContaining("closed");
        for (Generation generation : generations) {
            assertThat(all(generation)).hasSize(4);
        }
        awaitRest();
    }

    @Test
    void refusesWhatCanNeverFitWithBothNumbers() {
        start(hanging());
        try (Engine.Place place = engine.reserve(1, 10)) {
            assertThatExceptionOfType(EngineException.class).isThrownBy(() -> place.submit(request(4000, new int[4001])))
                    .withMessage("prompt has 4001 tokens and asks for 4000 more; this server holds 8000 per sequence")
                    .matches(refused -> refused.kind() == Kind.TOO_LARGE);
            assertThatIllegalArgumentException().isThrownBy(() -> place.submit(request(1, VOCAB))).withMessageContaining("vocabulary");
            assertThatIllegalArgumentException().isThrownBy(() -> place.submit(request(1, -1)));
        }
        assertThat(engine.queue().requests()).isZero();
    }

    // ---- slow readers and deadlines

    @Test
    void pausesARequestWhoseReaderIsBehindAndNobodyElse() throws InterruptedException {
        start(stub());
        Generation unread = submit(request(5000, 1));
        await(() -> engine.status().paused() == 1);
        assertThat(((RequestStream) unread).undeliveredBytes()).isBetween(RequestStream.PAUSE_BYTES, RequestStream.PAUSE_BYTES + 1000);

        assertThat(all(submit(request(500, 2)))).as("others go on").hasSize(501);
        assertThat(engine.status().paused()).isEqualTo(1);

        List<GenerationEvent> events = all(unread);
        assertThat(events).as("and so does it, once it is read").hasSize(5001);
        int[] expected = stubTokens(5000, 1);
        for (int i = 0; i < 5000; i++) {
            assertThat(((GenerationEvent.Token) events.get(i)).token()).isEqualTo(expected[i]);
        }
        awaitRest();
    }

    @Test
    void failsARequestWhoseReaderStandsStill() throws InterruptedException {
        start(stub());
        Generation unread = submit(request(5000, 1));
        await(() -> engine.status().paused() == 1);
        clock.addAndGet(Duration.ofSeconds(29).toNanos());
        for (int i = 0; i < 10; i++) {
            unread.poll();
        }
        Thread.sleep(60);
        clock.addAndGet(Duration.ofSeconds(29).toNanos());
        Thread.sleep(60);
        assertThat(engine.status().paused()).as("it made progress 29 s ago").isEqualTo(1);
        clock.addAndGet(Duration.ofSeconds(2).toNanos());
        await(() -> engine.status().paused() == 0);
        assertThat(failureOf(unread)).isEqualTo(Kind.SLOW_READER);
        awaitRest();
    }

    @Test
    void failsWhatWaitsTooLongInTheQueue() throws InterruptedException {
        start(stub());
        List<Generation> unread = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            unread.add(submit(request(1500, 1)));
        }
        await(() -> engine.status().paused() == 4);
        Generation waiting = submit(request(1, 1));
        await(() -> engine.status().waiting() == 1);
        clock.addAndGet(Duration.ofSeconds(61).toNanos());
        assertThat(failureOf(waiting)).isEqualTo(Kind.QUEUE_TIMEOUT);
        unread.forEach(Generation::close);
        awaitRest();
    }

    @Test
    void failsWhatIsNotDoneWithinItsDeadlines() throws InterruptedException {
        var reached = new CountDownLatch(1);
        var release = new CountDownLatch(1);
        start(new FakeBackend(VOCAB, CACHE).hangingAt(1, reached, release));
        Generation noToken = submit(request(10, new int[3000]));
        reached.await();
        clock.addAndGet(Duration.ofSeconds(301).toNanos());
        release.countDown();
        assertThat(failureOf(noToken)).isEqualTo(Kind.DEADLINE_EXCEEDED);

        Generation unread = submit(request(1500, 1));
        await(() -> engine.status().paused() == 1);
        clock.addAndGet(Duration.ofSeconds(3601).toNanos());
        await(() -> engine.status().paused() == 0);
        assertThat(failureOf(unread)).as("over the total before the stall").isEqualTo(Kind.DEADLINE_EXCEEDED);
        awaitRest();
    }

    // ---- failures

    @Test
    void failsTheRequestWhoseLogitsAreNotFiniteAndLeavesItsNeighboursAlone() throws InterruptedException {
        start(new FakeBackend(100, CACHE).poisonedBy(99));
        var bad = new GenerationRequest("bad", new int[] {1, 99}, 10, 0, Set.of(), 2, -1, SamplingParams.greedy());
        var ban = new SamplingParams(0, 0, 1, 0, 1, 0, 0, Map.of(99, -100f), List.of(), List.of(), 0, 2);
        var good = new GenerationRequest("good", new int[] {1, 2}, 200, 0, Set.of(), 1, -1, ban);
        Outcome alone = outcome(submit(good), 1);
        Generation neighbour = submit(good);
        assertThat(failureOf(submit(bad))).isEqualTo(Kind.NUMERIC);
        assertThat(outcome(neighbour, 1).differenceFromSolo(alone)).isEmpty();
        assertThat(engine.status().numericFailures()).isEqualTo(1);
        awaitRest();
    }

    @Test
    void failsEverythingWhenTheBackendFails() throws InterruptedException {
        var reached = new CountDownLatch(1);
        var release = new CountDownLatch(1);
        var backend = new FakeBackend(VOCAB, CACHE).hangingAt(2, reached, release).failingAt(3);
        start(backend);
        List<Generation> generations = new ArrayList<>();
        generations.add(submit(request(100, 1)));
        reached.await();
        Engine.Place place = engine.reserve(1, 10);
        for (int i = 0; i < 8; i++) {
            generations.add(submit(request(100, 1)));
        }
        release.countDown();
        for (Generation generation : generations) {
            assertThat(failureOf(generation)).isEqualTo(Kind.ENGINE_FAILED);
        }
        await(() -> engine.status().state() == EngineStatus.State.FAILED);
        assertThat(kindOf(() -> engine.reserve(1, 1))).isEqualTo(Kind.ENGINE_FAILED);
        assertThat(failureOf(place.submit(request(1, 1)))).as("reserved before, submitted after").isEqualTo(Kind.ENGINE_FAILED);
        assertThat(engine.queue().requests()).isZero();
        engine.close();
        assertThat(backend.isClosed()).isTrue();
        assertThat(engine.status().state()).isEqualTo(EngineStatus.State.FAILED);
    }

    @Test
    void failsEverythingWhenTheBackendThrowsAnError() throws InterruptedException {
        start(new FakeBackend(VOCAB, CACHE).before(step -> {
            throw new StackOverflowError("planted");
        }));
        assertThat(failureOf(submit(request(1, 1)))).isEqualTo(Kind.ENGINE_FAILED);
    }

    // ---- drain, close, rest

    @Test
    void drainsWhatWasAcceptedAndTakesNothingNew() throws InterruptedException {
        start(slow());
        Generation running = submit(request(50, 1));
        Engine.Place reserved = engine.reserve(1, 1);
        engine.drain();
        assertThat(engine.status().state()).isEqualTo(EngineStatus.State.DRAINING);
        assertThat(kindOf(() -> engine.reserve(1, 1))).isEqualTo(Kind.DRAINING);
        assertThat(all(reserved.submit(request(2, 1)))).hasSize(3);
        assertThat(all(running)).hasSize(51);
    }

    @Test
    void failsWhatStillRunsWhenItIsClosed() throws InterruptedException {
        var backend = slow();
        start(backend);
        Generation running = submit(request(4000, 1));
        assertThat(running.next(Duration.ofSeconds(10))).isNotNull();
        Engine.Place reserved = engine.reserve(1, 1);
        engine.close();
        engine.close();
        assertThat(engine.thread().isAlive()).isFalse();
        assertThat(backend.isClosed()).isTrue();
        assertThat(failureOf(running)).isEqualTo(Kind.DRAINING);
        assertThat(failureOf(reserved.submit(request(1, 1)))).isEqualTo(Kind.DRAINING);
        assertThat(kindOf(() -> engine.reserve(1, 1))).isEqualTo(Kind.DRAINING);
        assertThat(engine.status().state()).isEqualTo(EngineStatus.State.CLOSED);
        assertThat(engine.status().atRest()).isTrue();
        assertThat(engine.queue().requests()).isZero();
    }

    @Test
    void sleepsWhenThereIsNothingToDo() throws InterruptedException {
        start(stub());
        all(submit(request(5, 1)));
        awaitRest();
        var threads = ManagementFactory.getThreadMXBean();
        long before = threads.getThreadCpuTime(engine.thread().threadId());
        Thread.sleep(300);
        assertThat(threads.getThreadCpuTime(engine.thread().threadId()) - before).as("nanoseconds of CPU in 300 ms at rest").isLessThan(10_000_000);
        assertThat(all(submit(request(1, 1)))).hasSize(2);
    }

    @Test
    void servesManyReadersAtOnce() throws InterruptedException {
        start(stub());
        AtomicLong tokens = new AtomicLong();
        List<Thread> readers = new ArrayList<>();
        for (int i = 0; i < 16; i++) {
            int prompt = i;
            Generation generation = submit(request(300, prompt));
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
        awaitRest();
    }

    // ---- helpers

    private static StubBackend stub() {
        return new StubBackend(new StubShape(VOCAB, CACHE));
    }

    /// A backend that hangs in its first step for as long as the test lasts, so that what is submitted stays in the queue.
    private Backend hanging() {
        var backend = new FakeBackend(VOCAB, CACHE);
        holdEngine = new CountDownLatch(1);
        return backend.hangingAt(1, new CountDownLatch(1), holdEngine);
    }

    private static FakeBackend slow() {
        return new FakeBackend(VOCAB, CACHE).before(step -> {
            try {
                Thread.sleep(1);
            } catch (InterruptedException interrupt) {
                throw new IllegalStateException(interrupt);
            }
        });
    }

    private void start(Backend backend) {
        engine = Engine.start(backend, LIMITS, observer, clock::get);
        if (holdEngine != null) {
            // one request that occupies the engine; its place is free again before the test begins
            submit(request(1, 1));
            await(() -> engine.queue().requests() == 0);
        }
    }

    private Generation submit(GenerationRequest request) {
        try (Engine.Place place = engine.reserve(request.choices(), request.prompt().length)) {
            return place.submit(request);
        }
    }

    private static GenerationRequest request(int maxTokens, int... prompt) {
        return new GenerationRequest("test", prompt, maxTokens, 0, Set.of(), 1, -1, SamplingParams.greedy());
    }

    private static int[] stubTokens(int count, int... prompt) {
        int[] tokens = Arrays.copyOf(prompt, prompt.length + count);
        for (int i = prompt.length; i < tokens.length; i++) {
            tokens[i] = StubBackend.nextToken(tokens, i, VOCAB);
        }
        return Arrays.copyOfRange(tokens, prompt.length, tokens.length);
    }

    /// All events to the last.
    private static List<GenerationEvent> all(Generation generation) throws InterruptedException {
        List<GenerationEvent> events = new ArrayList<>();
        while (!((RequestStream) generation).isComplete()) {
            GenerationEvent event = generation.next(Duration.ofSeconds(20));
            assertThat(event).as("an event within 20 s, after %d", events.size()).isNotNull();
            events.add(event);
        }
        return events;
    }

    private static Outcome outcome(Generation generation, int choices) throws InterruptedException {
        var outcome = new Outcome(choices);
        all(generation).forEach(outcome::add);
        return outcome;
    }

    private static GenerationEvent lastOf(Generation generation) throws InterruptedException {
        return all(generation).getLast();
    }

    private static Kind failureOf(Generation generation) throws InterruptedException {
        return ((GenerationEvent.Failed) lastOf(generation)).cause().kind();
    }

    private static Kind kindOf(Runnable deed) {
        try {
            deed.run();
        } catch (EngineException refused) {
            return refused.kind();
        }
        throw new AssertionError("was not refused");
    }

    private void awaitRest() {
        await(() -> engine.status().atRest() && engine.queue().requests() == 0);
        assertThat(engine.status().fencedBlocks() + engine.status().fencedSlots()).isZero();
        assertThat(engine.queue().tokens()).isZero();
    }

    private static void await(BooleanSupplier condition) {
        long giveUp = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).as("within 20 s").isLessThan(giveUp);
            Thread.onSpinWait();
        }
    }
}
