package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.Preemptions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/// Plays traces against an engine and holds the results against four oracles:
///
/// - **solo**: every request has the ids, log-probabilities (as bits), prompt scores and ends that it has alone on a fresh
///   engine; a cancelled one has a prefix of them;
/// - **zero leak**: afterwards no block, slot, queue place, token or thread is held;
/// - **conservation**: every request that went in came out, in exactly one way;
/// - **books**: `checkInvariants` holds after every step, and a cancel frees memory within two steps.
///
/// The trace's actions happen on the engine thread at the beginning of the steps they are set for, so a trace plays the
/// same way every time. Any backend will do: give the harness a supplier of fresh ones.
public final class TraceHarness {

    private final Supplier<? extends Backend> backends;
    private Preemptions preemptions = new Preemptions(0, 0, 0, 0);

    /// @param backends makes fresh backends, all of the same shape and with the same model
    public TraceHarness(Supplier<? extends Backend> backends) {
        this.backends = backends;
    }

    /// Who had to leave the device in the latest trace.
    public Preemptions preemptions() {
        return preemptions;
    }

    /// Draws a trace and plays it.
    public void play(long seed, Trace.Size size) {
        play(seed, size, backends.get());
    }

    /// Draws a trace and plays it on another backend than those that requests run alone on: it must come to the same.
    public void play(long seed, Trace.Size size, Backend backend) {
        Trace trace = Trace.draw(seed, size, backend.memory().frames(), backend.vocabSize());
        try {
            play(trace, backend);
        } catch (Throwable failure) {
            throw new AssertionError("failed with " + trace, failure);
        }
    }

    private void play(Trace trace, Backend backend) throws InterruptedException {
        var player = new Player(trace, backend);
        List<Outcome> together = player.play();
        preemptions = player.engine.status().preemptions();
        for (int i = 0; i < trace.requests().size(); i++) {
            Outcome solo = alone(trace.requests().get(i), trace.limits());
            assertThat(together.get(i).differenceFromSolo(solo)).as("request %d against itself alone", i).isEmpty();
        }
    }

    private Outcome alone(GenerationRequest request, EngineLimits limits) throws InterruptedException {
        try (Engine engine = Engine.start(backends.get(), limits, EngineObserver.NONE);
                Engine.Place place = engine.reserve(request.choices(), 0)) {
            var outcome = new Outcome(request.choices());
            Generation generation = place.submit(request);
            while (!outcome.isComplete()) {
                GenerationEvent event = generation.next(Duration.ofSeconds(60));
                assertThat(event).as("an event within a minute, alone").isNotNull();
                outcome.add(event);
            }
            return outcome;
        }
    }

    /// One trace on one engine, whose steps are the clock of the trace.
    private static final class Player implements EngineObserver {

        private final Trace trace;
        private final Engine engine;
        private final List<Generation> generations = new ArrayList<>();
        private final List<Outcome> outcomes = new ArrayList<>();
        private final long[] stalledUntil;
        private int nextAction;
        private long stepsSeen = -1;
        private long step;
        private int ended;
        private final int[] endedBy = new int[RequestOutcome.values().length];
        private int mostStepsToFree;
        private Throwable brokenBooks;

        Player(Trace trace, Backend backend) {
            this.trace = trace;
            this.stalledUntil = new long[trace.requests().size()];
            for (GenerationRequest request : trace.requests()) {
                generations.add(null);
                outcomes.add(new Outcome(request.choices()));
            }
            this.engine = Engine.start(new WatchedBackend(backend, this::beginStep), trace.limits(), this);
        }

        List<Outcome> play() throws InterruptedException {
            long giveUp = System.nanoTime() + TimeUnit.MINUTES.toNanos(2);
            while (!done()) {
                // A running engine brings the trace forward by itself. At rest somebody has to: one action at a time, so
                // that the next ones are again the engine's.
                actWhenAtRest();
                assertThat(System.nanoTime() < giveUp).as("done within two minutes; %s", engine.status()).isTrue();
                Thread.sleep(0, 100_000);
            }
            awaitRest();
            engine.close();
            read(Long.MAX_VALUE);
            checkOutcomes();
            checkLeaks();
            return outcomes;
        }

        private synchronized boolean done() {
            return engine.status().state() == EngineStatus.State.FAILED
                    || nextAction == trace.actions().size() && ended == arrived();
        }

        private synchronized int arrived() {
            int arrived = 0;
            for (Generation generation : generations) {
                arrived += generation != null ? 1 : 0;
            }
            return arrived;
        }

        private synchronized void actWhenAtRest() {
            if (ended == arrived() && nextAction < trace.actions().size()) {
                step = Math.max(step, trace.actions().get(nextAction).step());
                act(trace.actions().get(nextAction++));
            }
            // When all that is left waits for stalled readers, no step will come to end the stall.
            EngineStatus status = engine.status();
            if (status.paused() > 0 && status.steps() == stepsSeen) {
                read(Long.MAX_VALUE);
            }
            stepsSeen = status.steps();
        }

        private synchronized Batch beginStep(Batch batch) {
            step++;
            while (nextAction < trace.actions().size() && trace.actions().get(nextAction).step() <= step) {
                act(trace.actions().get(nextAction++));
            }
            read(step);
            return batch;
        }

        /// Takes what is there for every reader that is not stalled.
        private synchronized void read(long now) {
            for (int i = 0; i < generations.size(); i++) {
                GenerationEvent event;
                while (generations.get(i) != null && stalledUntil[i] <= now && !outcomes.get(i).isComplete()
                        && (event = generations.get(i).poll()) != null) {
                    outcomes.get(i).add(event);
                }
            }
        }

        private void act(Trace.Action action) {
            switch (action) {
                case Trace.Action.Arrive arrive -> {
                    GenerationRequest request = trace.requests().get(arrive.request());
                    // An estimate of nothing, of the truth, or of far too much: the engine has to correct it.
                    long[] estimates = {0, (long) request.prompt().length * request.choices(), 5000};
                    try (Engine.Place place = engine.reserve(request.choices(), estimates[arrive.request() % 3])) {
                        generations.set(arrive.request(), place.submit(request));
                    }
                }
                case Trace.Action.Cancel cancel -> generations.get(cancel.request()).cancel();
                case Trace.Action.CancelChoice cancel -> generations.get(cancel.request()).cancel(cancel.choice());
                case Trace.Action.Stall stall -> stalledUntil[stall.request()] = stall.untilStep();
            }
        }

        private void awaitRest() throws InterruptedException {
            for (int i = 0; i < 1000 && !engine.status().atRest(); i++) {
                Thread.sleep(1);
            }
        }

        private void checkOutcomes() {
            for (int i = 0; i < outcomes.size(); i++) {
                assertThat(outcomes.get(i).isComplete()).as("the end of request %d", i).isTrue();
            }
        }

        private void checkLeaks() {
            assertThat(brokenBooks).as("books").isNull();
            EngineStatus status = engine.status();
            assertThat(status.state()).isEqualTo(EngineStatus.State.CLOSED);
            assertThat(status.atRest()).as("nothing held: %s", status).isTrue();
            assertThat(engine.queue().requests()).as("queue places").isZero();
            assertThat(engine.queue().tokens()).as("queue tokens").isZero();
            assertThat(engine.thread().isAlive()).as("engine thread").isFalse();
            assertThat(mostStepsToFree).as("steps from a cancel to the free").isLessThanOrEqualTo(2);

            int failed = 0;
            for (Outcome outcome : outcomes) {
                failed += outcome.failure() != null ? 1 : 0;
            }
            assertThat(endedBy[RequestOutcome.FAILED.ordinal()]).as("failed").isEqualTo(failed);
            assertThat(endedBy[0] + endedBy[1] + endedBy[2]).as("requests that came out").isEqualTo(trace.requests().size());
        }

        @Override
        public void stepCompleted(StepKind kind, int sequences, int tokens, long nanos, StepPhases phases) {
            try {
                engine.checkInvariants();
            } catch (IllegalStateException broken) {
                brokenBooks = broken;
            }
        }

        @Override
        public void freedAfterCancel(int steps) {
            mostStepsToFree = Math.max(mostStepsToFree, steps);
        }

        @Override
        public synchronized void requestEnded(RequestOutcome outcome, GenerationTimes times) {
            ended++;
            endedBy[outcome.ordinal()]++;
        }
    }
}
