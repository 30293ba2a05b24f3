package dev.sidewinder.engine;

import dev.sidewinder.engine.stub.StubBackend;
import dev.sidewinder.engine.stub.StubShape;
import dev.sidewinder.kvcache.FrameShape;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.LongAdder;

/// Measures the engine's own work per step: all readers on virtual threads, nothing computed. Not a test; run by hand:
/// `StepOverhead [sequences] [vocabulary] [temperature] [queued]`.
final class StepOverhead {

    private static final int TOKENS = 4000;
    /// The first steps compile the code.
    private static final int WARM_UP_STEPS = 4000;

    private StepOverhead() {}

    /// Sums the phases of decode steps after the warm-up. Engine thread only.
    private static final class Phases implements EngineObserver {
        private long steps;
        private long counted;
        private long schedule;
        private long sample;
        private long emit;
        private Engine engine;
        private long allocatedBefore;

        @Override
        public void stepCompleted(StepKind kind, int sequences, int tokens, long nanos, StepPhases phases) {
            if (++steps <= WARM_UP_STEPS || kind != StepKind.DECODE) {
                return;
            }
            if (counted++ == 0) {
                allocatedBefore = allocatedBytes();
            }
            schedule += phases.schedule();
            sample += phases.sample();
            emit += phases.emit();
        }

        private static long allocatedBytes() {
            return ((com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean()).getCurrentThreadAllocatedBytes();
        }

        @Override
        public void requestEnded(RequestOutcome outcome, GenerationTimes times) {
            if (allocatedBefore > 0 && engine != null) {
                System.out.printf("allocated per step: %,d bytes%n", (allocatedBytes() - allocatedBefore) / Math.max(1, counted));
                engine = null;
            }
        }
    }

    public static void main(String[] arguments) throws InterruptedException {
        int sequences = argument(arguments, 0, 64);
        int vocabSize = argument(arguments, 1, 1024);
        double temperature = arguments.length > 2 ? Double.parseDouble(arguments[2]) : 0;
        int queued = argument(arguments, 3, 0);
        var limits = new EngineLimits(sequences, sequences + 2048, 100_000, 1L << 30, 100_000);
        var phases = new Phases();
        var backend = new StubBackend(new StubShape(vocabSize, FrameShape.holding(sequences, sequences * 100, 64)));
        var sampling = new SamplingParams(temperature, 0, 1, 0, 1, 0, 0, Map.of(), List.of(), List.of(), 1, -1);
        LongAdder events = new LongAdder();
        long start = System.nanoTime();
        try (Engine engine = Engine.start(backend, limits, phases)) {
            phases.engine = engine;
            List<Thread> readers = new ArrayList<>();
            List<Generation> waiting = new ArrayList<>();
            for (int i = 0; i < sequences + queued; i++) {
                Engine.Place place = engine.reserve(1, 1);
                Generation generation = place.submit(new GenerationRequest("r" + i, new int[] {i % vocabSize}, WARM_UP_STEPS + TOKENS, 0,
                        Set.of(), 1, -1, sampling));
                if (i < sequences) {
                    readers.add(Thread.startVirtualThread(() -> read(generation, events)));
                } else {
                    waiting.add(generation);
                }
            }
            for (Thread reader : readers) {
                reader.join();
            }
            waiting.forEach(Generation::cancel);
        }
        double micros = 1e3 * phases.counted;
        System.out.printf("%d sequences, vocabulary %d, temperature %s, %d queued: schedule %.1f, sample %.1f, emit %.1f, together %.1f us a step; %,.0f events/s%n",
                sequences, vocabSize, temperature, queued, phases.schedule / micros, phases.sample / micros, phases.emit / micros,
                (phases.schedule + phases.sample + phases.emit) / micros, events.sum() / ((System.nanoTime() - start) / 1e9));
    }

    private static int argument(String[] arguments, int i, int otherwise) {
        return arguments.length > i ? Integer.parseInt(arguments[i]) : otherwise;
    }

    private static void read(Generation generation, LongAdder events) {
        try {
            while (!((RequestStream) generation).isComplete()) {
                if (generation.next(Duration.ofSeconds(60)) != null) {
                    events.increment();
                }
            }
        } catch (InterruptedException interrupt) {
            throw new IllegalStateException(interrupt);
        }
    }
}
