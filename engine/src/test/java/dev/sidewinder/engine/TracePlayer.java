package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.scheduler.Batch;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/// One trace on one engine, whose steps are the clock of the trace, and all that can be checked without knowing what requests would
/// have had alone. Its lock is taken by the engine thread and by the one that plays.
final class TracePlayer implements EngineObserver {

    /// A request and what its reader saw.
    record Played(GenerationRequest request, Outcome outcome) {}

    /// A request that has arrived.
    private static final class Arrival {
        private final Played played;
        private final long firstSequence;
        private Generation generation;
        private long stalledUntil;

        Arrival(GenerationRequest request, long firstSequence) {
            this.played = new Played(request, new Outcome(request.choices()));
            this.firstSequence = firstSequence;
        }
    }

    private final Trace trace;
    private final Engine engine;
    private final TraceSessions sessions;
    private final ComputedTokens computed = new ComputedTokens();
    /// Requests of the trace by their numbers, null before they arrive; behind them those of sessions.
    private final List<Arrival> arrivals = new ArrayList<>();
    private long nextSequence;
    private int arrived;
    /// Deeds that the engine thread has not done yet.
    private int deedsToCome;
    private int nextAction;
    private long stepsSeen = -1;
    private long step;
    private int ended;
    private final int[] endedBy = new int[RequestOutcome.values().length];
    private int mostStepsToFree;
    private long checks;
    private int resets;
    private long reusedTokens;
    private Throwable broken;

    TracePlayer(Trace trace, Backend backend) {
        this.trace = trace;
        this.sessions = new TraceSessions(trace.limits().maxModelTokens());
        trace.requests().forEach(_ -> arrivals.add(null));
        this.engine = Engine.start(new WatchedBackend(backend, this::beginStep), trace.limits(), this);
    }

    /// @return all requests, those of sessions behind the others
    List<Played> play() throws InterruptedException {
        long giveUp = System.nanoTime() + TimeUnit.MINUTES.toNanos(2);
        while (!done()) {
            // A running engine brings the trace forward by itself. At rest somebody has to: one action at a time, so
            // that the next ones are again the engine's.
            actWhenAtRest();
            assertThat(System.nanoTime() < giveUp).as("done within two minutes; %s", engine.status()).isTrue();
            Thread.sleep(0, 100_000);
        }
        assertThat(engine.failure()).as("the engine's failure").isEmpty();
        betweenSteps(_ -> sessions.forgetAll());
        awaitRest();
        checkNothingIsHeld();
        engine.close();
        read(Long.MAX_VALUE);
        checkOutcomes();
        checkLeaks();
        return arrivals.stream().map(arrival -> arrival.played).toList();
    }

    TraceTotals totals() {
        return TraceTotals.of(checks, engine.status().preemptions(), resets, reusedTokens, sessions.turns(), sessions.forks());
    }

    private synchronized boolean done() {
        return engine.status().state() == EngineStatus.State.FAILED || nextAction == trace.actions().size() && nothingToCome();
    }

    private boolean nothingToCome() {
        return ended == arrived && deedsToCome == 0;
    }

    private synchronized void actWhenAtRest() {
        if (nothingToCome() && nextAction < trace.actions().size()) {
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
        computed.note(batch);
        step++;
        while (nextAction < trace.actions().size() && trace.actions().get(nextAction).step() <= step) {
            act(trace.actions().get(nextAction++));
        }
        read(step);
        return batch;
    }

    /// Takes what is there for every reader that is not stalled.
    private synchronized void read(long now) {
        for (Arrival arrival : arrivals) {
            GenerationEvent event;
            while (arrival != null && arrival.stalledUntil <= now && !arrival.played.outcome().isComplete()
                    && (event = arrival.generation.poll()) != null) {
                arrival.played.outcome().add(event);
            }
        }
    }

    private void act(Trace.Action action) {
        switch (action) {
            case Trace.Action.Arrive arrive -> arrive(arrive.request());
            case Trace.Action.Cancel cancel -> arrivals.get(cancel.request()).generation.cancel();
            case Trace.Action.CancelChoice cancel -> arrivals.get(cancel.request()).generation.cancel(cancel.choice());
            case Trace.Action.Stall stall -> arrivals.get(stall.request()).stalledUntil = stall.untilStep();
            case Trace.Action.Reset reset -> betweenSteps(cache -> {
                resets++;
                if (reset.partition() < 0) {
                    cache.evictAll();
                } else {
                    cache.evictAll(new Partition(0, reset.partition()));
                }
            });
            case Trace.Action.Turn turn -> betweenSteps(_ -> sessions.begin(turn, (request, link) -> beginTurn(turn, request, link)));
            case Trace.Action.Fork fork -> betweenSteps(_ -> sessions.fork(fork));
            case Trace.Action.Forget forget -> betweenSteps(_ -> sessions.forget(forget.session()));
        }
    }

    private void arrive(int number) {
        GenerationRequest request = trace.requests().get(number);
        // An estimate of nothing, of the truth, or of far too much: the engine has to correct it.
        long[] estimates = {0, (long) request.prompt().length * request.choices(), 5000};
        Arrival arrival = arrival(request);
        try (Engine.Place place = engine.reserve(request.choices(), estimates[number % 3])) {
            arrival.generation = place.submit(request);
        }
        arrivals.set(number, arrival);
    }

    private void beginTurn(Trace.Action.Turn turn, GenerationRequest request, SessionLink link) {
        Arrival arrival = arrival(request);
        try (Engine.Place place = engine.reserve(1, request.prompt().length)) {
            arrival.generation = ((QueuePlace) place).submit(request, Optional.of(link));
        }
        arrivals.add(arrival);
        link.end().thenAccept(end -> betweenSteps(_ -> sessions.ended(turn, end)));
    }

    /// Sequences are numbered in the order in which their requests are submitted.
    private Arrival arrival(GenerationRequest request) {
        var arrival = new Arrival(request, nextSequence);
        nextSequence += request.choices();
        arrived++;
        return arrival;
    }

    /// Has the engine thread do something to its cache as it does for others, and looks at the books then.
    private synchronized void betweenSteps(Consumer<FrameCache> deed) {
        deedsToCome++;
        engine.send(new EngineTask() {
            @Override
            public boolean run(FrameCache cache, Backend backend) {
                synchronized (TracePlayer.this) {
                    deed.accept(cache);
                    deedsToCome--;
                    checkBooks();
                }
                return true;
            }

            @Override
            public void failed(EngineException cause) {}
        });
    }

    private void checkBooks() {
        checks++;
        try {
            engine.checkInvariants();
        } catch (IllegalStateException wrong) {
            broken = wrong;
        }
    }

    private void awaitRest() throws InterruptedException {
        for (int i = 0; i < 1000 && !engine.status().atRest(); i++) {
            Thread.sleep(1);
        }
    }

    private void checkNothingIsHeld() {
        assertThat(engine.status().atRest()).as("nothing held: %s", engine.status()).isTrue();
        engine.dropPrefixes(Optional.empty());
        EngineStatus status = engine.status();
        assertThat(status.cache().frames().freeFrames()).as("free frames, when all prefixes have been dropped: %s", status)
                .isEqualTo(status.cache().shape().frames());
        assertThat(status.cache().suspendedBlocks()).as("blocks in the host area").isZero();
    }

    private void checkOutcomes() {
        boolean restarted = computed.restarts() > 0;
        for (Arrival arrival : arrivals) {
            Outcome outcome = arrival.played.outcome();
            GenerationRequest request = arrival.played.request();
            assertThat(outcome.isComplete()).as("the end of request %s", request.id()).isTrue();
            for (int choice = 0; choice < request.choices(); choice++) {
                Integer reused = outcome.reusedTokens(choice);
                if (reused == null) {
                    continue;
                }
                boolean whole = !restarted && outcome.failure() == null && outcome.reason(choice) != FinishReason.CANCELLED;
                assertThat(computed.differenceFrom(arrival.firstSequence + choice, request.prompt().length, reused, whole))
                        .as("cache truth of request %s, choice %d", request.id(), choice).isEmpty();
                reusedTokens += reused;
            }
        }
        assertThat(computed.restarts()).as("sequences that went back").isLessThanOrEqualTo(engine.status().preemptions().recomputed());
    }

    private void checkLeaks() {
        assertThat(broken).as("books").isNull();
        EngineStatus status = engine.status();
        assertThat(status.state()).isEqualTo(EngineStatus.State.CLOSED);
        assertThat(status.atRest()).as("nothing held: %s", status).isTrue();
        assertThat(engine.queue().requests()).as("queue places").isZero();
        assertThat(engine.queue().tokens()).as("queue tokens").isZero();
        assertThat(engine.thread().isAlive()).as("engine thread").isFalse();
        assertThat(mostStepsToFree).as("steps from a cancel to the free").isLessThanOrEqualTo(2);

        int failed = 0;
        for (Arrival arrival : arrivals) {
            failed += arrival.played.outcome().failure() != null ? 1 : 0;
        }
        assertThat(endedBy[RequestOutcome.FAILED.ordinal()]).as("failed").isEqualTo(failed);
        assertThat(endedBy[0] + endedBy[1] + endedBy[2]).as("requests that came out").isEqualTo(arrivals.size());
    }

    @Override
    public synchronized void stepCompleted(StepKind kind, int sequences, int tokens, long nanos, StepPhases phases) {
        checkBooks();
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
