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
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/// The engine's own work per step: everything but the backend, which computes nothing here.
///
/// With readers that wait, most of it is waking them: a step of the stub backend is short enough for every reader to be asleep again
/// when its next token comes, and on a machine of few processors the readers then take the engine thread's place. So the same
/// is measured without anybody to wake, and beside the time by the clock stands what the engine thread itself ran.
final class EngineBenchmark {

    private static final int PROMPT_TOKENS = 16;
    private static final int LEAST_STEPS = 1_000;
    /// Long beside the few milliseconds for which others are given the processor.
    private static final Duration LENGTH = Duration.ofSeconds(1);
    /// Until the compiler has done with the code: at 300,000 steps a second as at 2,000.
    private static final Duration WARM_UP = Duration.ofSeconds(3);
    /// Tokens that no sequence comes to the end of while it is measured: of one sequence alone, and of all together.
    private static final int MOST_TOKENS = 1 << 21;
    private static final int MOST_TOKENS_OF_ALL = 1 << 30;
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    /// Blocks of a frame: those of the published 30B shape in bf16.
    private static final int STATE_BLOCKS = 64;

    /// Who takes the events.
    enum Readers {
        /// a virtual thread for each sequence, as in the server
        WAITING,
        /// the engine thread, between two steps: nobody has to be woken
        ENGINE_THREAD
    }

    /// What the steps took in which all sequences decode. The engine thread's own until the latch is down.
    private static final class Times implements EngineObserver {
        private final ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        private final int sequences;
        private final long leastNanos;
        private final CountDownLatch enough = new CountDownLatch(1);
        /// Whose events the engine thread takes.
        private volatile List<Generation> unread = List.of();
        private long steps;
        private long ownNanos;
        private long sampleNanos;
        private long begunNanos;
        private long begunCpuNanos;
        private long cpuNanos;

        Times(int sequences, Duration least) {
            this.sequences = sequences;
            this.leastNanos = least.toNanos();
        }

        @Override
        public void stepCompleted(StepKind kind, int sequences, int tokens, long nanos, StepPhases phases) {
            if (kind != StepKind.DECODE || sequences != this.sequences || enough.getCount() == 0) {
                return;
            }
            if (begunNanos == 0) {
                begunNanos = System.nanoTime();
                begunCpuNanos = threads.getCurrentThreadCpuTime();
                return;
            }
            steps++;
            ownNanos += phases.schedule() + phases.emit();
            sampleNanos += phases.sample();
            if (steps >= LEAST_STEPS && System.nanoTime() - begunNanos >= leastNanos) {
                cpuNanos = threads.getCurrentThreadCpuTime() - begunCpuNanos;
                enough.countDown();
                return;
            }
            for (Generation generation : unread) {
                while (generation.poll() != null) {
                    // None of them comes to its end.
                }
            }
        }

        Result result() {
            return new Result(ownNanos * 1e-3 / steps, sampleNanos * 1e-3 / steps, cpuNanos * 1e-3 / steps);
        }
    }

    /// Of a step.
    ///
    /// @param ownMicros    scheduling and handing out, by the clock
    /// @param sampleMicros sampling, which grows with the vocabulary, by the clock
    /// @param cpuMicros    what the engine thread ran in all: both, the stub backend's part, and taking events if it does that
    record Result(double ownMicros, double sampleMicros, double cpuMicros) {}

    private final int sequences;
    private final int vocabSize;
    private final Readers readers;
    private final int answerTokens;

    EngineBenchmark(int sequences, int vocabSize, Readers readers) {
        this.sequences = sequences;
        this.answerTokens = Math.min(MOST_TOKENS, MOST_TOKENS_OF_ALL / sequences);
        this.vocabSize = vocabSize;
        this.readers = readers;
    }

    void warmUp() throws InterruptedException {
        run(WARM_UP);
    }

    /// Runs a second and a thousand steps, and more, with all sequences greedy.
    Result run() throws InterruptedException {
        return run(LENGTH);
    }

    private Result run(Duration least) throws InterruptedException {
        var times = new Times(sequences, least);
        int length = PROMPT_TOKENS + answerTokens;
        var cache = FrameShape.holding(sequences, sequences * CacheShape.blocksFor(length), STATE_BLOCKS);
        var limits = new EngineLimits(sequences, Math.max(8192, 2 * sequences + 128), sequences,
                (long) sequences * length, length);
        boolean done;
        try (Engine engine = Engine.start(new StubBackend(new StubShape(vocabSize, cache)), limits, times)) {
            List<Generation> generations = new ArrayList<>();
            for (int i = 0; i < sequences; i++) {
                generations.add(submit(engine, i));
            }
            List<Thread> waiting = switch (readers) {
                case WAITING -> generations.stream().map(each -> Thread.ofVirtual().start(() -> drain(each))).toList();
                case ENGINE_THREAD -> List.of();
            };
            times.unread = readers == Readers.ENGINE_THREAD ? generations : List.of();
            done = times.enough.await(PATIENCE.toSeconds(), TimeUnit.SECONDS);
            generations.forEach(Generation::cancel);
            for (Thread reader : waiting) {
                reader.join();
            }
        }
        if (!done) {
            throw new IllegalStateException("after " + PATIENCE.toSeconds() + " s only " + times.steps + " of " + LEAST_STEPS
                    + " steps held all " + sequences + " sequences; is the machine busy?");
        }
        return times.result();
    }

    private Generation submit(Engine engine, int number) {
        int[] prompt = new int[PROMPT_TOKENS];
        for (int i = 0; i < prompt.length; i++) {
            prompt[i] = (number * PROMPT_TOKENS + i) % vocabSize;
        }
        try (Engine.Place place = engine.reserve(1, PROMPT_TOKENS)) {
            return place.submit(new GenerationRequest("bench-" + number, prompt, answerTokens, 0, Set.of(), 1, -1,
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
