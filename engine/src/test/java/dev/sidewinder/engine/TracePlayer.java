package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.EngineException.Kind;
import dev.sidewinder.engine.Trace.Action;
import dev.sidewinder.engine.Trace.FaultKind;
import dev.sidewinder.engine.TraceTotals.Count;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.Preemptions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/// One trace on one engine, whose steps are the clock of the trace, and all that can be checked without knowing what requests would
/// have had alone. Everything happens on the engine thread, between two steps or when it has nothing to do, and time is what steps
/// are said to take: so a trace plays the same way every time. Only when the engine has ended does another thread do the rest.
final class TracePlayer implements EngineObserver {

    /// Of a step, and of each token in it.
    private static final long STEP_NANOS = 300_000;
    private static final long TOKEN_NANOS = 5_000;

    /// A request and what its reader saw.
    record Played(GenerationRequest request, Outcome outcome) {}

    /// A request that was let in.
    private static final class Arrival {
        private final Played played;
        private final long firstSequence;
        private final long arrivedNanos;
        private final Generation generation;
        private long stalledUntil;
        /// When its reader saw the end; 0 = not yet.
        private long endedNanos;

        Arrival(GenerationRequest request, long firstSequence, long nowNanos, Generation generation) {
            this.played = new Played(request, new Outcome(request.choices()));
            this.firstSequence = firstSequence;
            this.arrivedNanos = nowNanos;
            this.generation = generation;
        }
    }

    /// The device does not do what it was told to.
    private static final class PlantedFailure extends RuntimeException {
        PlantedFailure(FaultKind kind) {
            super("planted failure: " + kind);
        }
    }

    private final Trace trace;
    private final Duration patience;
    private final AtomicLong clock = new AtomicLong(1);
    private final Engine engine;
    private final TraceSessions sessions;
    private final TraceFollowUps followUps;
    private final ComputedTokens computed = new ComputedTokens();
    private final FairnessOracle fairness = new FairnessOracle();
    private final Map<Integer, GenerationRequest> requests = new HashMap<>();
    private final Map<Integer, Arrival> latest = new HashMap<>();
    private final List<Arrival> arrivals = new ArrayList<>();
    private final Map<Count, Long> counts = new EnumMap<>(Count.class);
    private long nextSequence;
    /// Deeds that the engine thread has not done yet.
    private int deedsToCome;
    private int nextAction;
    private long step;
    private FaultKind armed;
    private boolean faulted;
    private Thread closer;
    private int ended;
    private final int[] endedBy = new int[RequestOutcome.values().length];
    private int refusals;
    private int mostStepsToFree;
    private Throwable broken;

    /// @param patience without a step, before the engine counts as stuck
    TracePlayer(Trace trace, Backend backend, Duration patience) {
        this.trace = trace;
        this.patience = patience;
        this.sessions = new TraceSessions(trace);
        this.followUps = new TraceFollowUps(trace);
        var watched = new WatchedBackend(backend, this::beginStep, this::failing, this::idle);
        // The engine thread has to wait until there is an engine.
        synchronized (this) {
            this.engine = Engine.start(watched, trace.limits(), this, clock::get);
        }
    }

    /// @return all requests that were let in, in their order
    List<Played> play() throws InterruptedException {
        count(Count.TRACES);
        awaitEnd();
        if (engine.failure().isPresent() && !faulted) {
            throw new AssertionError("the engine failed", engine.failure().get());
        }
        boolean alive = closer == null && !faulted;
        if (alive) {
            betweenSteps(_ -> sessions.forgetAll());
            awaitRest();
            checkNothingIsHeld();
        }
        engine.close();
        if (closer != null) {
            closer.join();
        }
        read(Long.MAX_VALUE);
        checkOutcomes();
        checkBalance();
        checkLeaks(alive);
        return arrivals.stream().map(arrival -> arrival.played).toList();
    }

    TraceTotals totals() {
        Preemptions preemptions = engine.status().preemptions();
        counts.put(Count.SUSPENDED, preemptions.copied());
        counts.put(Count.RECOMPUTED, preemptions.recomputed());
        counts.put(Count.PREPARED, engine.status().preparations().tokens());
        counts.put(Count.TURNS, (long) sessions.turns());
        counts.put(Count.FORKS, (long) sessions.forks());
        counts.put(Count.REFUSED, (long) refusals);
        counts.put(Count.REQUESTS, (long) arrivals.size());
        return new TraceTotals(counts);
    }

    /// The most work that a sequence waited for; see [FairnessOracle].
    double longestWait() {
        return fairness.longestWait();
    }

    private void count(Count what) {
        counts.merge(what, 1L, Long::sum);
    }

    private boolean hasEnded() {
        return switch (engine.status().state()) {
            case SERVING, DRAINING -> false;
            case FAILED, CLOSED -> true;
        };
    }

    private synchronized void awaitEnd() throws InterruptedException {
        long steps = -1;
        long since = System.nanoTime();
        while (nextAction < trace.actions().size() || !nothingToCome()) {
            if (hasEnded()) {
                actUntil(Long.MAX_VALUE);
            }
            EngineStatus status = engine.status();
            since = status.steps() == steps ? since : System.nanoTime();
            steps = status.steps();
            assertThat(Duration.ofNanos(System.nanoTime() - since)).as("time without a step, action %d of %d is next: %s", nextAction,
                    trace.actions().size(), status).isLessThan(patience);
            wait(1);
        }
    }

    private boolean nothingToCome() {
        return ended == arrivals.size() && deedsToCome == 0;
    }

    private synchronized Batch beginStep(Batch batch) {
        // Who had ended when the batch was chosen did not wait for who begins in it.
        read(step);
        computed.note(batch).forEach(fairness::begin);
        step++;
        clock.addAndGet(STEP_NANOS + TOKEN_NANOS * batch.tokens());
        actUntil(step);
        read(step);
        if (armed == FaultKind.LAUNCH || armed == FaultKind.COPY && !batch.memory().isEmpty()) {
            fail();
        }
        return batch;
    }

    private synchronized LaunchedStep failing(LaunchedStep launched) {
        return armed != FaultKind.AWAIT ? launched : new LaunchedStep() {
            @Override
            public boolean sample(RowSampler rows) {
                return launched.sample(rows);
            }

            @Override
            public Sample[] await() {
                fail();
                return launched.await();
            }

            @Override
            public boolean isFinite(int entry) {
                return launched.isFinite(entry);
            }
        };
    }

    private synchronized void fail() {
        count(Count.FAULTS);
        faulted = true;
        throw new PlantedFailure(armed);
    }

    /// Nothing can run. If nothing is left to run, the next actions are due; if it is, it waits for readers.
    private synchronized void idle() {
        read(nothingToCome() ? step : Long.MAX_VALUE);
        while (nothingToCome() && nextAction < trace.actions().size() && closer == null) {
            Action next = trace.actions().get(nextAction++);
            clock.addAndGet(STEP_NANOS * Math.max(0, next.step() - step));
            step = Math.max(step, next.step());
            act(next);
        }
    }

    private void actUntil(long now) {
        while (nextAction < trace.actions().size() && trace.actions().get(nextAction).step() <= now && (closer == null || hasEnded())) {
            act(trace.actions().get(nextAction++));
        }
    }

    /// Takes what is there for every reader that is not stalled.
    private synchronized void read(long now) {
        for (Arrival arrival : arrivals) {
            GenerationEvent event;
            while (arrival.stalledUntil <= now && arrival.endedNanos == 0 && (event = arrival.generation.poll()) != null) {
                arrival.played.outcome().add(event);
                if (arrival.played.outcome().isComplete()) {
                    arrival.endedNanos = clock.get();
                    for (int choice = 0; choice < arrival.played.request().choices(); choice++) {
                        fairness.end(arrival.firstSequence + choice);
                    }
                }
            }
        }
    }

    private void act(Action action) {
        switch (action) {
            case Action.Arrive arrive -> {
                requests.put(arrive.request(), arrive.what().toRequest("r" + arrive.request(), trace.vocabSize(), trace.poisonToken()));
                arrive(arrive.request());
            }
            case Action.FollowUp next -> ofLatest(next.before(), before -> {
                requests.put(next.request(), followUps.request(next, before.played));
                arrive(next.request());
            });
            case Action.Prepare prepare -> ofLatest(prepare.before(), before ->
                    followUps.preparation(prepare, before.played).ifPresent(engine::prepare));
            case Action.Retry retry -> {
                count(Count.RETRIES);
                arrive(retry.request());
            }
            case Action.Burst burst -> {
                count(Count.BURSTS);
                for (int i = 0; i < burst.times(); i++) {
                    arrive(burst.request());
                }
            }
            case Action.Cancel cancel -> ofLatest(cancel.request(), arrival -> arrival.generation.cancel());
            case Action.CancelChoice cancel -> ofLatest(cancel.request(), arrival -> {
                if (cancel.choice() < arrival.played.request().choices()) {
                    arrival.generation.cancel(cancel.choice());
                }
            });
            case Action.Stall stall -> ofLatest(stall.request(), arrival -> stall(arrival, stall.untilStep()));
            case Action.Reset reset -> betweenSteps(cache -> reset(cache, reset.partition()));
            case Action.Turn turn -> betweenSteps(_ -> sessions.begin(turn, (request, link) -> beginTurn(turn, request, link)));
            case Action.Fork fork -> betweenSteps(_ -> sessions.fork(fork));
            case Action.Forget forget -> betweenSteps(_ -> sessions.forget(forget.session()));
            case Action.Pause pause -> {
                count(Count.PAUSES);
                clock.addAndGet(TimeUnit.MILLISECONDS.toNanos(pause.millis()));
            }
            case Action.Fault fault -> armed = fault.kind();
            case Action.Drain _ -> {
                count(Count.DRAINS);
                engine.drain();
            }
            case Action.Close _ -> close();
        }
    }

    private void ofLatest(int number, Consumer<Arrival> deed) {
        Arrival arrival = latest.get(number);
        if (arrival != null) {
            deed.accept(arrival);
        }
    }

    /// From then on nobody sees when it ends, and so how long it waits.
    private void stall(Arrival arrival, long untilStep) {
        arrival.stalledUntil = untilStep;
        for (int choice = 0; choice < arrival.played.request().choices(); choice++) {
            fairness.loseSightOf(arrival.firstSequence + choice);
        }
    }

    private void reset(FrameCache cache, int partition) {
        count(Count.RESETS);
        if (partition < 0) {
            cache.evictAll();
        } else {
            cache.evictAll(new Partition(0, partition));
        }
    }

    private void close() {
        if (closer != null) {
            return;
        }
        if (!nothingToCome()) {
            count(Count.CLOSES);
        }
        closer = Thread.ofPlatform().daemon().name("closer").start(engine::close);
        // It has told the engine thread when it waits for it to end.
        while (closer.isAlive() && closer.getState() != Thread.State.WAITING) {
            Thread.onSpinWait();
        }
    }

    private void arrive(int number) {
        GenerationRequest request = requests.get(number);
        if (request == null) {
            return;
        }
        // An estimate of nothing, of the truth, or of far too much: the engine has to correct it.
        long[] estimates = {0, (long) request.prompt().length * request.choices(), 5000};
        submit(request, estimates[number % 3], Optional.empty()).ifPresent(arrival -> latest.put(number, arrival));
    }

    private boolean beginTurn(Action.Turn turn, GenerationRequest request, SessionLink link) {
        Optional<Arrival> arrival = submit(request, request.prompt().length, Optional.of(link));
        arrival.ifPresent(_ -> link.end().thenAccept(end -> betweenSteps(_ -> sessions.ended(turn, end))));
        return arrival.isPresent();
    }

    /// @return empty when it was refused, as it may be
    private Optional<Arrival> submit(GenerationRequest request, long estimatedTokens, Optional<SessionLink> session) {
        try (Engine.Place place = engine.reserve(share(request), request.choices(), estimatedTokens)) {
            Generation generation = ((QueuePlace) place).submit(request, session);
            // Sequences are numbered in the order in which their requests are let in.
            var arrival = new Arrival(request, nextSequence, clock.get(), generation);
            nextSequence += request.choices();
            arrivals.add(arrival);
            noteArrival(arrival);
            return Optional.of(arrival);
        } catch (EngineException refusal) {
            boolean due = switch (refusal.kind()) {
                case OVERLOADED -> true;
                case SHARE_USED_UP -> share(request).isPresent();
                case DRAINING -> counts.containsKey(Count.DRAINS) || closer != null;
                case ENGINE_FAILED -> faulted;
                case QUEUE_TIMEOUT, DEADLINE_EXCEEDED, NUMERIC, SLOW_READER, TOO_LARGE -> false;
            };
            broken = due ? broken : refusal;
            return Optional.empty();
        }
    }

    /// Where one choice computes the prompt for the others, or has it scored, the others come when that is done.
    private void noteArrival(Arrival arrival) {
        GenerationRequest request = arrival.played.request();
        for (int choice = 0; choice < request.choices(); choice++) {
            long sequence = arrival.firstSequence + choice;
            if (choice > 0 && (request.scoresPrompt() || request.sharesPrompt())) {
                fairness.announce(sequence, request.prompt().length, request.maxTokens());
            } else {
                fairness.arrive(sequence, request.prompt().length, request.maxTokens());
            }
        }
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
            public void failed(EngineException cause) {
                synchronized (TracePlayer.this) {
                    deedsToCome--;
                }
            }
        });
    }

    private void checkBooks() {
        count(Count.CHECKS);
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
            if (outcome.failure() != null) {
                checkFailure(arrival);
            }
            for (int choice = 0; choice < request.choices(); choice++) {
                Integer reused = outcome.reusedTokens(choice);
                if (reused == null) {
                    continue;
                }
                boolean whole = !restarted && outcome.failure() == null && outcome.reason(choice) != FinishReason.CANCELLED;
                assertThat(computed.differenceFrom(arrival.firstSequence + choice, request.prompt().length, reused, whole))
                        .as("cache truth of request %s, choice %d", request.id(), choice).isEmpty();
                counts.merge(Count.REUSED, (long) reused, Long::sum);
                counts.merge(Count.ANSWERS_REUSED, followUps.endInAnswer(request, reused) ? 1L : 0L, Long::sum);
            }
            counts.merge(Count.FOLLOW_UPS, followUps.isOne(request) ? 1L : 0L, Long::sum);
        }
        assertThat(computed.restarts()).as("sequences that went back").isLessThanOrEqualTo(engine.status().preemptions().recomputed());
    }

    /// A named tenant has its share of the queue, one of nobody in particular all of it.
    private static Optional<QueueShare> share(GenerationRequest request) {
        return Optional.of(request.tenant()).filter(tenant -> !tenant.isEmpty())
                .map(tenant -> new QueueShare(tenant, tenant.equals("a") ? 1 : 2));
    }

    /// A request fails for its own NaN, or for something that has happened.
    private void checkFailure(Arrival arrival) {
        Timeouts limits = trace.limits().timeouts();
        Duration age = Duration.ofNanos(arrival.endedNanos - arrival.arrivedNanos);
        Kind kind = arrival.played.outcome().failure();
        boolean due = switch (kind) {
            case NUMERIC -> true;
            case QUEUE_TIMEOUT -> age.compareTo(limits.queueWait()) > 0;
            case DEADLINE_EXCEEDED -> age.compareTo(limits.firstToken()) > 0 || age.compareTo(limits.total()) > 0;
            case SLOW_READER -> arrival.stalledUntil > 0 && age.compareTo(limits.readerStall()) > 0;
            case DRAINING -> closer != null;
            case ENGINE_FAILED -> faulted;
            case OVERLOADED, SHARE_USED_UP, TOO_LARGE -> false;
        };
        switch (kind) {
            case NUMERIC -> count(Count.NUMERIC);
            case QUEUE_TIMEOUT, DEADLINE_EXCEEDED, SLOW_READER -> count(Count.LATE);
            case DRAINING, ENGINE_FAILED, OVERLOADED, SHARE_USED_UP, TOO_LARGE -> { }
        }
        assertThat(due).as("request %s failed with %s, %s after it came; %s", arrival.played.request().id(), kind, age, limits).isTrue();
    }

    private void checkBalance() {
        assertThat(broken).as("books").isNull();
        assertThat(fairness.violation()).as("fairness").isEmpty();
        int failed = 0;
        for (Arrival arrival : arrivals) {
            failed += arrival.played.outcome().failure() != null ? 1 : 0;
        }
        assertThat(endedBy[RequestOutcome.FAILED.ordinal()]).as("failed").isEqualTo(failed);
        assertThat(endedBy[0] + endedBy[1] + endedBy[2]).as("requests that came out").isEqualTo(arrivals.size());
    }

    /// @param alive whether it came to rest before it was closed; otherwise sessions still hold what is theirs
    private void checkLeaks(boolean alive) {
        EngineStatus status = engine.status();
        assertThat(status.state()).isEqualTo(faulted ? EngineStatus.State.FAILED : EngineStatus.State.CLOSED);
        // Of a failed engine the books are not to be trusted, and nobody looks at them again.
        if (!faulted) {
            assertThat(status.running() + status.paused() + status.waiting() + status.places()).as("nothing held: %s", status).isZero();
        }
        assertThat(!alive || status.atRest()).as("nothing held: %s", status).isTrue();
        assertThat(engine.queue().requests()).as("queue places").isZero();
        assertThat(engine.queue().tokens()).as("queue tokens").isZero();
        assertThat(engine.queue().tenants()).as("tenants with queue places").isZero();
        assertThat(engine.thread().isAlive()).as("engine thread").isFalse();
        assertThat(mostStepsToFree).as("steps from a cancel to the free").isLessThanOrEqualTo(2);
    }

    @Override
    public synchronized void stepCompleted(StepKind kind, int sequences, int tokens, long nanos, StepPhases phases) {
        checkBooks();
    }

    @Override
    public synchronized void freedAfterCancel(int steps) {
        mostStepsToFree = Math.max(mostStepsToFree, steps);
    }

    @Override
    public synchronized void requestEnded(RequestOutcome outcome, GenerationTimes times) {
        ended++;
        endedBy[outcome.ordinal()]++;
        if (outcome == RequestOutcome.CANCELLED) {
            count(Count.CANCELLED);
        }
    }

    @Override
    public synchronized void refused(Refusal reason) {
        refusals++;
    }
}
