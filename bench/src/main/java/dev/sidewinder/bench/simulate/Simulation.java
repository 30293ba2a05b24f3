package dev.sidewinder.bench.simulate;

import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.kvcache.ReuseEstimate;
import dev.sidewinder.scheduler.Admission;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.Claim;
import dev.sidewinder.scheduler.DecodedStates;
import dev.sidewinder.scheduler.Preparation;
import dev.sidewinder.scheduler.Prefixes;
import dev.sidewinder.scheduler.PromptOrder;
import dev.sidewinder.scheduler.SampledTokens;
import dev.sidewinder.scheduler.Scheduler;
import dev.sidewinder.scheduler.SchedulerLimits;
import dev.sidewinder.scheduler.Sequence;
import dev.sidewinder.scheduler.TokenSource;
import java.util.Comparator;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.SplittableRandom;

/// Plays traffic on the real scheduler and caches, with a clock that jumps from the end of one step to the end of the next.
///
/// The turns are those of the engine's loop with a device that chooses tokens by itself (docs/decisions/0016): the next step is
/// chosen while one runs, with what has come until then, and begins when that has ended. So a request that comes while a step
/// runs waits for that one and the next. Whatever the host does is hidden behind the device unless a step is shorter.
///
/// Clients are honest about what they do not know: a request allows more tokens than it gets, and its answer ends by a stop
/// token, one step late. A turn is sent when the answer before has ended and its delay has passed. No request is sent after the
/// end of the run; those that were are run to their end.
///
/// One thread; a run is used once. The same arguments give the same result.
final class Simulation {

    /// A request that will come.
    private record Arrival(long nanos, long order, ConversationRun run) {}

    /// A step between its launch and its end.
    ///
    /// @param begunNanos when its device begins with it
    private record RunningStep(Batch batch, long begunNanos, long endNanos) {}

    private final SimulatedModel model;
    private final Bounds bounds;
    private final Policy policy;
    private final FrameCache cache;
    private final Scheduler<SimulatedRequest> scheduler;
    private final SampledTokens sampled;
    private final SimulationStats stats;
    private final PriorityQueue<Arrival> arrivals = new PriorityQueue<>(
            Comparator.comparingLong(Arrival::nanos).thenComparingLong(Arrival::order));

    private long nowNanos;
    private long deviceFreeNanos;
    private long hostFreeNanos;
    private long arrivalsSoFar;
    private long sequencesSoFar;
    private boolean checksEachStep;

    /// How much of everything there may be.
    ///
    /// @param limits            of the scheduler; its target for gaps counts with policies that have one
    /// @param maxQueuedRequests that wait; more are refused
    /// @param reuse             what it is worth to keep a state
    /// @param span              how long requests come
    record Bounds(SchedulerLimits limits, int maxQueuedRequests, ReuseEstimate reuse, Span span) {}

    /// Times of a run.
    ///
    /// @param seconds       for which requests come
    /// @param warmUpSeconds at the start, whose requests do not count: the caches are empty then
    /// @param pieceSeconds  of the timeline
    record Span(double seconds, double warmUpSeconds, double pieceSeconds) {

        Span {
            if (!(seconds > warmUpSeconds) || !(warmUpSeconds >= 0) || !(pieceSeconds > 0)) {
                throw new IllegalArgumentException("a run of " + seconds + " s with a warm-up of " + warmUpSeconds
                        + " and pieces of " + pieceSeconds + "; the warm-up is shorter than the run");
            }
        }
    }

    Simulation(SimulatedModel model, Bounds bounds, Policy policy, Traffic traffic) {
        this.model = model;
        this.bounds = bounds;
        this.policy = policy;
        cache = new FrameCache(model.memory().frames(), policy.uses(Policy.Part.SUSPENSION) ? model.memory().host() : HostShape.NONE, bounds.reuse(), new SplittableRandom(1));
        SchedulerLimits limits = bounds.limits();
        scheduler = new Scheduler<>(policy.uses(Policy.Part.GAP) ? limits
                : new SchedulerLimits(limits.maxSequences(), limits.maxBatchTokens(), limits.maxSequenceTokens()), cache,
                DecodedStates.SERVE_ANYBODY, policy.uses(Policy.Part.TURNS) ? PromptOrder.TURNS : PromptOrder.ARRIVAL);
        sampled = new SampledTokens(bounds.limits().maxSequences());
        stats = new SimulationStats(bounds.span());
        for (int i = 0; i < traffic.conversations().size(); i++) {
            Conversation conversation = traffic.conversations().get(i);
            arrive(Math.round(conversation.arrivalSeconds() * 1e9), new ConversationRun(i, conversation));
        }
    }

    private void arrive(long nanos, ConversationRun run) {
        if (nanos < bounds.span().seconds() * 1e9) {
            arrivals.add(new Arrival(nanos, arrivalsSoFar++, run));
        }
    }

    SimulationResult run() {
        RunningStep underWay = null;
        while (true) {
            acceptArrivals();
            if (underWay == null) {
                underWay = launch(scheduler.next());
            }
            if (underWay != null) {
                RunningStep ahead = launch(scheduler.ahead());
                advance(Math.max(underWay.endNanos(), hostFreeNanos));
                complete(underWay.batch());
                scheduler.measured(underWay.batch(), nowNanos - underWay.begunNanos());
                if (checksEachStep) {
                    scheduler.checkInvariants();
                }
                underWay = ahead;
            } else if (!arrivals.isEmpty()) {
                advance(arrivals.peek().nanos());
            } else if (scheduler.waiting() > 0) {
                throw new IllegalStateException(scheduler.waiting() + " sequences wait, nothing runs, and nothing comes: " + cache.use());
            } else {
                stats.timeline().memory(MemoryUse.of(cache.use()));
                stats.timeline().end();
                return stats.result(policy, cache.use(), scheduler.lateCompletions(), scheduler.preparations(), nowNanos);
            }
        }
    }

    private void advance(long untilNanos) {
        if (stats.timeline().isDue(untilNanos)) {
            stats.timeline().memory(MemoryUse.of(cache.use()));
        }
        stats.timeline().advance(untilNanos, cache.sequences(), scheduler.waiting(), cache.suspendedSequences());
        nowNanos = untilNanos;
    }

    private void acceptArrivals() {
        while (!arrivals.isEmpty() && arrivals.peek().nanos() <= nowNanos) {
            Arrival arrival = arrivals.remove();
            submit(arrival.run(), arrival.nanos());
        }
    }

    private void submit(ConversationRun run, long arrivalNanos) {
        Transcript transcript = run.transcript();
        int[] prompt = transcript.nextPrompt();
        Turn turn = transcript.now();
        var request = new SimulatedRequest(run, arrivalNanos, prompt.length, transcript.historyTokens(), turn.generatedTokens());
        if (scheduler.waiting() >= bounds.maxQueuedRequests()) {
            stats.refused(request);
            return;
        }
        var sequence = new Sequence<>(++sequencesSoFar, prompt, turn.limitTokens(), false, claim(run.conversation()), prefixes(run), request);
        switch (scheduler.submit(sequence)) {
            case Admission.Queued _ -> stats.accepted(request);
            case Admission.NeverFits _ -> stats.refused(request);
        }
    }

    private Claim claim(Conversation conversation) {
        return new Claim(policy.uses(Policy.Part.PRIORITIES) ? conversation.priority() : Claim.ORDINARY.priority(),
                policy.uses(Policy.Part.FAIRNESS) ? conversation.tenant() : Claim.ORDINARY.tenant());
    }

    /// As the server does, answers are kept of those that have tools, since any may call one, and of those that do not think.
    private Prefixes prefixes(ConversationRun run) {
        if (!policy.uses(Policy.Part.REUSE)) {
            return Prefixes.NONE;
        }
        boolean keepsAnswer = run.conversation().usesTools() || run.transcript().now().reasoningTokens() == 0;
        return new Prefixes(Optional.of(partition(run)), run.transcript().marks(), keepsAnswer, false);
    }

    /// Prefixes are shared within a tenant.
    private static Partition partition(ConversationRun run) {
        long seed = Passage.seed(run.conversation().tenant());
        return new Partition(seed, Passage.token(seed, 0));
    }

    /// @return null when there is nothing to do
    private RunningStep launch(Batch batch) {
        if (batch.isEmpty()) {
            return null;
        }
        for (int i = 0; i < batch.entries().size(); i++) {
            BatchEntry entry = batch.entries().get(i);
            SimulatedRequest request = scheduler.scheduled(batch, i).owner();
            if (request != null && request.begins()) {
                request.begin(entry.from());
                stats.begun(request, nowNanos);
            }
        }
        StepTime time = model.timer().time(batch);
        hostFreeNanos = Math.max(nowNanos, hostFreeNanos) + Gpu.hostNanos(batch.entries().size());
        long begun = Math.max(deviceFreeNanos, hostFreeNanos);
        deviceFreeNanos = begun + time.nanos();
        stats.step(batch, time);
        return new RunningStep(batch, begun, deviceFreeNanos);
    }

    private void complete(Batch batch) {
        sampled.clear();
        for (int i = 0; i < batch.entries().size(); i++) {
            SimulatedRequest request = scheduler.scheduled(batch, i).owner();
            if (batch.entries().get(i).logitRows() > 0 && request != null && !request.isDone()) {
                sampled.set(i, request.run().transcript().generatedToken(request.generatedTokens()));
            }
        }
        scheduler.complete(batch, sampled);
        for (int i = 0; i < batch.entries().size(); i++) {
            BatchEntry entry = batch.entries().get(i);
            Sequence<SimulatedRequest> sequence = scheduler.scheduled(batch, i);
            if (entry.source() == TokenSource.PROMPT) {
                stats.computedPrompt(entry.count(), nowNanos);
            }
            if (sampled.has(i)) {
                stats.token(sequence.owner(), nowNanos);
                if (sequence.owner().isDone()) {
                    finish(sequence);
                }
            }
        }
    }

    private void finish(Sequence<SimulatedRequest> sequence) {
        scheduler.end(sequence);
        SimulatedRequest request = sequence.owner();
        stats.finished(request, nowNanos);
        ConversationRun run = request.run();
        boolean callsTool = run.conversation().callsTool(run.transcript().turn());
        run.transcript().answered();
        if (policy.uses(Policy.Part.PREPARATION) && policy.uses(Policy.Part.REUSE) && !callsTool && run.transcript().dropsReasoning()) {
            scheduler.prepare(new Preparation(partition(run), run.transcript().nextTurnBeginning(), Preparation.LEAST_TOKENS));
        }
        if (run.transcript().hasNext()) {
            arrive(nowNanos + Math.round(run.transcript().next().delaySeconds() * 1e9), run);
        }
    }

    /// Has the books of scheduler and caches checked after each step, which takes long.
    void checkEachStep() {
        checksEachStep = true;
    }
}
