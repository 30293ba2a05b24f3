package dev.sidewinder.bench;

import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.EngineLimits;
import dev.sidewinder.engine.EngineObserver;
import dev.sidewinder.engine.Generation;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.engine.SamplingParams;
import dev.sidewinder.engine.stub.StubBackend;
import dev.sidewinder.engine.stub.StubShape;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameShape;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/// The engine's own work per step: everything but the backend, which computes nothing here. Readers take their events on
/// virtual threads, as the server does, so the cost of handing events over is in it.
final class EngineBenchmark {

    private static final int PROMPT_TOKENS = 16;
    private static final int STEPS = 1_000;
    /// Steps until the code is compiled.
    private static final int WARM_UP_STEPS = 3_000;
    /// Tokens that no sequence comes to the end of: sequences that start late must still meet those that started early.
    private static final int ENOUGH_TOKENS = 1 << 20;
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    /// Adds up the steps in which all sequences decode.
    private static final class Times implements EngineObserver {
        private final int sequences;
        private final CountDownLatch enough;
        private long steps;
        private long ownNanos;
        private long sampleNanos;

        Times(int sequences, int steps) {
            this.sequences = sequences;
            this.enough = new CountDownLatch(steps);
        }

        @Override
        public void stepCompleted(StepKind kind, int sequences, int tokens, long nanos, StepPhases phases) {
            if (kind == StepKind.DECODE && sequences == this.sequences && enough.getCount() > 0) {
                steps++;
                ownNanos += phases.schedule() + phases.emit();
                sampleNanos += phases.sample();
                enough.countDown();
            }
        }
    }

    /// @param ownMicros    scheduling and handing out, per step
    /// @param sampleMicros sampling, which grows with the vocabulary
    record Result(double ownMicros, double sampleMicros) {}

    /// Blocks of a frame: those of the published 30B shape in bf16.
    private static final int STATE_BLOCKS = 64;

    private final int sequences;
    private final int vocabSize;

    EngineBenchmark(int sequences, int vocabSize) {
        this.sequences = sequences;
        this.vocabSize = vocabSize;
    }

    /// Runs a thousand steps and more with all sequences greedy.
    Result run(boolean warmUp) throws InterruptedException {
        int steps = warmUp ? WARM_UP_STEPS : STEPS;
        var times = new Times(sequences, steps);
        int length = PROMPT_TOKENS + ENOUGH_TOKENS;
        var cache = FrameShape.holding(sequences, sequences * CacheShape.blocksFor(length), STATE_BLOCKS);
        var limits = new EngineLimits(sequences, Math.max(8192, 2 * sequences + 128), sequences,
                (long) sequences * length, length);
        boolean done;
        try (Engine engine = Engine.start(new StubBackend(new StubShape(vocabSize, cache)), limits, times)) {
            List<Thread> readers = new ArrayList<>();
            List<Generation> generations = new ArrayList<>();
            for (int i = 0; i < sequences; i++) {
                Generation generation = submit(engine, i);
                generations.add(generation);
                readers.add(Thread.ofVirtual().start(() -> drain(generation)));
            }
            done = times.enough.await(PATIENCE.toSeconds(), TimeUnit.SECONDS);
            generations.forEach(Generation::cancel);
            for (Thread reader : readers) {
                reader.join();
            }
        }
        if (!done) {
            throw new IllegalStateException("after " + PATIENCE.toSeconds() + " s only " + times.steps + " of " + steps
                    + " steps held all " + sequences + " sequences; is the machine busy?");
        }
        return new Result(times.ownNanos * 1e-3 / times.steps, times.sampleNanos * 1e-3 / times.steps);
    }

    private Generation submit(Engine engine, int number) {
        int[] prompt = new int[PROMPT_TOKENS];
        for (int i = 0; i < prompt.length; i++) {
            prompt[i] = (number * PROMPT_TOKENS + i) % vocabSize;
        }
        try (Engine.Place place = engine.reserve(1, PROMPT_TOKENS)) {
            return place.submit(new GenerationRequest("bench-" + number, prompt, ENOUGH_TOKENS, 0, Set.of(), 1, -1,
                    SamplingParams.greedy()));
        }
    }

    private static void drain(Generation generation) {
        try (generation) {
            while (true) {
                switch (generation.next(PATIENCE)) {
                    case null -> throw new IllegalStateException("no event for " + PATIENCE.toSeconds() + " s");
                    case GenerationEvent.Finished _ -> {
                        return;
                    }
                    case GenerationEvent.Failed failed -> throw failed.cause();
                    case GenerationEvent.Admitted _, GenerationEvent.Token _, GenerationEvent.PromptScored _ -> { }
                }
            }
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
        }
    }
}
