package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.stub.StubBackend;
import dev.sidewinder.engine.stub.StubShape;
import dev.sidewinder.kvcache.FrameShape;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;

/// An engine under test with a virtual clock, small limits, and the short forms that its tests use.
final class TestEngine implements AutoCloseable {

    static final int VOCAB = 1000;
    static final FrameShape CACHE = FrameShape.holding(4, 64, 16);
    private static final EngineLimits LIMITS = new EngineLimits(4, 512, 16, 100_000, 8000);
    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final AtomicLong clock = new AtomicLong(1);
    /// How often the engine thread has asked for the time.
    private volatile long engineLooks;
    private final List<Integer> stepsToFree = new ArrayList<>();
    private final CountDownLatch held = new CountDownLatch(1);
    private volatile Engine engine;

    static StubBackend stub() {
        return new StubBackend(new StubShape(VOCAB, CACHE));
    }

    /// A backend that takes a millisecond for a step.
    static FakeBackend slow() {
        return new FakeBackend(VOCAB, CACHE).before(step -> {
            try {
                Thread.sleep(1);
            } catch (InterruptedException interrupt) {
                throw new IllegalStateException(interrupt);
            }
        });
    }

    void start(Backend backend) {
        engine = Engine.start(backend, LIMITS, new EngineObserver() {
            @Override
            public void freedAfterCancel(int steps) {
                stepsToFree.add(steps);
            }
        }, this::time);
    }

    private long time() {
        if (engine != null && Thread.currentThread() == engine.thread()) {
            engineLooks++;
        }
        return clock.get();
    }

    /// Waits until an idle engine has looked at its deadlines with the time as it is now: it asks once for each look.
    void awaitDeadlineLook() {
        long looks = engineLooks;
        await(() -> engineLooks >= looks + 2);
    }

    /// Starts an engine that hangs in a step for as long as the test lasts, so that what is submitted stays in the queue.
    void startHeld() {
        start(new FakeBackend(VOCAB, CACHE).hangingAt(1, new CountDownLatch(1), held));
        submit(request(1, 1));
        await(() -> engine.queue().requests() == 0);
    }

    @Override
    public void close() {
        held.countDown();
        if (engine != null) {
            engine.close();
        }
    }

    Engine engine() {
        return engine;
    }

    /// Nanoseconds, moved by hand.
    AtomicLong clock() {
        return clock;
    }

    /// What the observer heard of cancelled sequences.
    List<Integer> stepsToFree() {
        return stepsToFree;
    }

    Generation submit(GenerationRequest request) {
        try (Engine.Place place = engine.reserve(request.choices(), request.prompt().length)) {
            return place.submit(request);
        }
    }

    /// Waits until the engine holds nothing.
    void awaitRest() {
        await(() -> engine.status().atRest() && engine.queue().requests() == 0);
        assertThat(engine.queue().tokens()).isZero();
    }

    static GenerationRequest request(int maxTokens, int... prompt) {
        return new GenerationRequest("test", prompt, maxTokens, 0, Set.of(), 1, -1, SamplingParams.greedy());
    }

    /// What the stub generates after a prompt.
    static int[] stubTokens(int count, int... prompt) {
        int[] tokens = Arrays.copyOf(prompt, prompt.length + count);
        for (int i = prompt.length; i < tokens.length; i++) {
            tokens[i] = StubBackend.nextToken(tokens, i, VOCAB);
        }
        return Arrays.copyOfRange(tokens, prompt.length, tokens.length);
    }

    /// All events to the last, but for those that say that a choice begins.
    static List<GenerationEvent> all(Generation generation) throws InterruptedException {
        List<GenerationEvent> events = new ArrayList<>();
        while (!((RequestStream) generation).isComplete()) {
            GenerationEvent event = generation.next(PATIENCE);
            assertThat(event).as("an event within %s, after %d", PATIENCE, events.size()).isNotNull();
            if (!(event instanceof GenerationEvent.Admitted)) {
                events.add(event);
            }
        }
        return events;
    }

    static GenerationEvent lastOf(Generation generation) throws InterruptedException {
        return all(generation).getLast();
    }

    static Outcome outcome(Generation generation, int choices) throws InterruptedException {
        var outcome = new Outcome(choices);
        all(generation).forEach(outcome::add);
        return outcome;
    }

    static EngineException.Kind failureOf(Generation generation) throws InterruptedException {
        return ((GenerationEvent.Failed) lastOf(generation)).cause().kind();
    }

    /// The kind of a refusal.
    static EngineException.Kind kindOf(Runnable deed) {
        try {
            deed.run();
        } catch (EngineException refused) {
            return refused.kind();
        }
        throw new AssertionError("was not refused");
    }

    static void await(BooleanSupplier condition) {
        long giveUp = System.nanoTime() + PATIENCE.toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).as("within %s", PATIENCE).isLessThan(giveUp);
            Thread.onSpinWait();
        }
    }
}
