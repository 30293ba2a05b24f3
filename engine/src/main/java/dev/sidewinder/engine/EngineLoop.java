package dev.sidewinder.engine;

import dev.sidewinder.engine.EngineObserver.StepKind;
import dev.sidewinder.engine.EngineObserver.StepPhases;
import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.kvcache.ReuseEstimate;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.DecodedStates;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.SampledTokens;
import dev.sidewinder.scheduler.Scheduler;
import dev.sidewinder.scheduler.Sequence;
import dev.sidewinder.scheduler.TokenSource;
import java.lang.System.Logger.Level;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.function.Predicate;

/// The engine thread: takes commands from the mailbox and runs one step after the other. It owns scheduler, cache and
/// backend. Other threads use [#send], [#counts] and [#hasEnded] only.
final class EngineLoop implements Runnable {

    private static final System.Logger LOG = System.getLogger(EngineLoop.class.getName());

    /// Deadlines are in seconds: looking at them this often is exact enough and costs nothing.
    private static final long DEADLINE_CHECK_NANOS = TimeUnit.MILLISECONDS.toNanos(20);

    private enum StepResult {
        IDLE, RAN
    }

    /// A step between its launch and its end.
    ///
    /// @param launchedNanos for the observer, by the system's clock
    /// @param begunNanos    for the scheduler, by the engine's clock
    private record RunningStep(Batch batch, StepKind kind, LaunchedStep launched, long launchedNanos, long begunNanos) {}

    private final Backend backend;
    private final EngineObserver observer;
    private final LongSupplier clock;
    private final Mailbox mailbox = new Mailbox();

    private final FrameCache cache;
    private final Scheduler<Choice> scheduler;
    private final BatchSampler sampler;
    private final LiveRequests live;
    /// What other threads have asked for and is not done yet.
    private final List<EngineTask> tasks = new ArrayList<>();

    /// The step that has been launched and not awaited, between two turns; null when there is none.
    private RunningStep underWay;
    private final StepTimes times = new StepTimes();
    private long completedSteps;
    /// Steps completed when the mailbox was last seen empty.
    private long stepsAtLastLook;
    private long numericFailures;
    private long progressNanos;
    private long deadlinesCheckedNanos;
    private boolean closing;

    private volatile LoopCounts counts;
    private volatile Throwable failure;
    private volatile EngineException end;

    EngineLoop(Backend backend, EngineLimits limits, EngineObserver observer, QueuePlaces places, LongSupplier clock) {
        this.backend = backend;
        this.observer = observer;
        this.clock = clock;
        this.cache = new FrameCache(backend.memory().frames(), backend.memory().host(), ReuseEstimate.DEFAULT, new SecureRandom());
        this.scheduler = new Scheduler<>(limits.forScheduler(), cache, decodedStates(backend));
        this.sampler = new BatchSampler(backend.vocabSize(), limits.maxSequences());
        this.live = new LiveRequests(scheduler, places, new Deadlines(limits.timeouts()), observer, backend::erase);
        this.deadlinesCheckedNanos = clock.getAsLong();
        publishCounts();
    }

    private static DecodedStates decodedStates(Backend backend) {
        return backend.decodeEqualsScan() || !backend.isBatchInvariant() ? DecodedStates.SERVE_ANYBODY : DecodedStates.SERVE_THEIR_SEQUENCE;
    }

    /// Hands a command to the engine thread; when that has ended, requests fail at once. Any thread.
    void send(Command command) {
        mailbox.put(command);
        if (hasEnded()) {
            failStragglers();
        }
    }

    /// The books as of the last step or command. Any thread.
    LoopCounts counts() {
        return counts;
    }

    /// Whether the loop takes nothing any more. Any thread.
    boolean hasEnded() {
        return end != null;
    }

    /// Whether it ended by a failure. Any thread.
    boolean hasFailed() {
        return end != null && end.kind() == EngineException.Kind.ENGINE_FAILED;
    }

    /// What it failed with. Any thread.
    Optional<Throwable> failure() {
        return Optional.ofNullable(failure);
    }

    @Override
    public void run() {
        try {
            while (!closing) {
                takeCommands();
                checkDeadlines();
                if (step() == StepResult.IDLE) {
                    backend.idle();
                    publishCounts();
                    live.wakeReaders();
                    rest();
                }
            }
            var closed = new EngineException(EngineException.Kind.DRAINING, "the engine has been closed");
            live.failAll(closed);
            finishUnderWay();
            endAll(closed);
        } catch (Throwable thrown) {
            failure = thrown;
            LOG.log(Level.ERROR, () -> "engine failed in step " + (completedSteps + 1) + " with " + live.size()
                    + " requests: " + counts, thrown);
            endAll(new EngineException(EngineException.Kind.ENGINE_FAILED, "the engine has failed"));
        }
    }

    /// Brings one step to its end: choose work, compute it, hand out what came of it.
    ///
    /// Where the backend allows it, the next step is launched before this one's tokens are read, so that a device never
    /// waits for the host. Stop conditions then come one step late, and what such a step chose for a sequence that has ended
    /// is dropped. Its *sampling* is launched in the next turn only, when all tokens before are known: penalties, masks and
    /// all else that depends on them is the same as without.
    private StepResult step() {
        times.begin();
        RunningStep step = underWay != null ? underWay : launch(scheduler.next());
        if (step == null) {
            return StepResult.IDLE;
        }
        sampler.begin(step.batch(), scheduler);
        boolean mayGoOn = step.launched().sample(sampler);
        times.sampled();
        underWay = mayGoOn ? launch(scheduler.ahead()) : null;
        Sample[] rows = step.launched().await();
        times.waited();
        scheduler.complete(step.batch(), sampler.take(rows, step.launched()));
        scheduler.takeSpoiledPreparation().ifPresent(this::erase);
        times.sampled();
        publish(step.batch());
        completedSteps++;
        long before = progressNanos;
        progressNanos = clock.getAsLong();
        // A reader sees the time from one step's end to the next, and so does the scheduler.
        scheduler.measured(step.batch(), progressNanos - Math.max(before, step.begunNanos()));
        publishCounts();
        live.wakeReaders();
        observer.stepCompleted(step.kind(), step.batch().entries().size(), step.batch().tokens(),
                times.stepNanos(step.launchedNanos()), times.phases());
        return StepResult.RAN;
    }

    /// What a preparation leaves that came to NaN or infinity; no request fails for it.
    private void erase(Allocation spoiled) {
        observer.numericFailure(Sample.NotFinite.Where.HIDDEN);
        backend.erase(spoiled);
    }

    /// @return null when there is nothing to run
    private RunningStep launch(Batch batch) {
        for (Sequence<Choice> sequence : scheduler.takeOverloaded()) {
            live.fail(sequence.owner().request(), new EngineException(EngineException.Kind.OVERLOADED,
                    "there was no memory to go on with the request, neither on the device nor on the host"));
        }
        if (batch.isEmpty()) {
            times.scheduled();
            return null;
        }
        long begun = clock.getAsLong();
        StepKind kind = noteScheduled(batch, begun);
        long now = times.scheduled();
        LaunchedStep launched = backend.launch(batch);
        times.launched();
        return new RunningStep(batch, kind, launched, now, begun);
    }

    /// Lets the last step come to its end; nobody hears of it.
    private void finishUnderWay() {
        if (underWay != null) {
            sampler.begin(underWay.batch(), scheduler);
            underWay.launched().sample(sampler);
            scheduler.complete(underWay.batch(), sampler.take(underWay.launched().await(), underWay.launched()));
            underWay = null;
        }
    }

    /// Gives back the queue places of sequences that run for the first time.
    private StepKind noteScheduled(Batch batch, long now) {
        if (batch.entries().isEmpty()) {
            return StepKind.COPIES;
        }
        int decodes = 0;
        for (int i = 0; i < batch.entries().size(); i++) {
            Sequence<Choice> sequence = scheduler.scheduled(batch, i);
            if (!sequence.isOfPreparation()) {
                live.scheduled(sequence.owner(), now);
            }
            if (batch.entries().get(i).source() != TokenSource.PROMPT) {
                decodes++;
            }
        }
        if (decodes == batch.entries().size()) {
            return StepKind.DECODE;
        }
        return decodes == 0 ? StepKind.PREFILL : StepKind.MIXED;
    }

    private void publish(Batch batch) {
        long now = clock.getAsLong();
        for (int i = 0; i < batch.entries().size(); i++) {
            Choice choice = scheduler.scheduled(batch, i).owner();
            // A neighbour may have taken the whole request with it, or it had ended when this step was under way; nobody hears of a preparation.
            if (choice != null && !choice.hasEnded()) {
                live.announce(choice);
                publish(batch.entries().get(i), choice, sampler.of(i), now);
            }
        }
    }

    private void publish(BatchEntry entry, Choice choice, Sample sample, long now) {
        boolean promptDone = entry.from() < choice.sequence().promptTokens()
                && entry.from() + entry.count() >= choice.sequence().promptTokens();
        if (promptDone && !(sample instanceof Sample.NotFinite)) {
            LiveRequest request = choice.request();
            if (entry.logits() == LogitRows.ALL) {
                live.publish(request, new GenerationEvent.PromptScored(request.promptLogprobs()));
            }
            live.submitHeldBack(request);
        }
        switch (sample) {
            case Sample.Chosen chosen -> publishToken(choice, chosen, now);
            case Sample.NothingAllowed _ -> {
                observer.deadEnd();
                live.finish(choice, FinishReason.STOP);
            }
            case Sample.NotFinite bad -> {
                numericFailures++;
                observer.numericFailure(bad.where());
                live.spoil(choice.request(), new EngineException(EngineException.Kind.NUMERIC, "the model computed NaN or infinity"));
            }
            case null -> {
                if (promptDone && choice.sequence().maxTokens() == 0) {
                    live.finish(choice, FinishReason.LENGTH);
                }
            }
        }
    }

    private void publishToken(Choice choice, Sample.Chosen chosen, long now) {
        LiveRequest request = choice.request();
        Sequence<Choice> sequence = choice.sequence();
        boolean stop = choice.sampling().isStop(chosen.token());
        request.token(now);
        live.publish(request, new GenerationEvent.Token(choice.index(), sequence.generatedTokens() - 1, chosen.token(),
                chosen.logprobs(), stop));
        boolean natural = stop || choice.sampling().isComplete();
        if (natural || sequence.generatedTokens() == sequence.maxTokens()) {
            live.finish(choice, natural ? FinishReason.STOP : FinishReason.LENGTH);
        } else if (request.isPaused()) {
            // It waited for its turn when the request was paused; or a choice before it in this step paused them all.
            if (sequence.state() == Sequence.State.RUNNING) {
                scheduler.pause(sequence);
            }
        } else if (request.stream().undeliveredBytes() > RequestStream.PAUSE_BYTES) {
            live.pause(request, now);
        }
    }

    private void takeCommands() {
        // What is there now came after the last look: no command waits longer than since then. Whoever sent it could not
        // say so itself, since its thread may rest for any number of steps between asking for the time and sending.
        long mostStepsWaited = completedSteps - stepsAtLastLook;
        for (Command command = mailbox.poll(); command != null; command = mailbox.poll()) {
            switch (command) {
                case Command.Submit submit -> accept(submit.request());
                case Command.Cancel cancel -> live.cancel(cancel.request(), mostStepsWaited);
                case Command.CancelChoice cancel ->
                    live.cancel(cancel.request().choices().get(cancel.choice()), mostStepsWaited);
                case Command.Resume resume -> live.resume(resume.request());
                case Command.Prepare prepare -> scheduler.prepare(prepare.preparation());
                case Command.DropPrefixes drop -> drop.answer().complete(dropPrefixes(drop.which()));
                case Command.Task task -> tasks.add(task.task());
                case Command.Close _ -> closing = true;
            }
        }
        stepsAtLastLook = completedSteps;
        if (!tasks.isEmpty()) {
            tasks.removeIf(task -> task.run(cache, backend));
        }
    }

    /// What running sequences stand on stays until they have ended.
    private DroppedPrefixes dropPrefixes(Predicate<Partition> which) {
        int states = cache.keptStates();
        int blocks = cache.keptBlocks();
        scheduler.forgetPreparations(which);
        cache.evictAll(which);
        publishCounts();
        return new DroppedPrefixes(states - cache.keptStates(), blocks - cache.keptBlocks());
    }

    private void accept(LiveRequest request) {
        if (live.isEmpty()) {
            progressNanos = clock.getAsLong();
        }
        live.accept(request);
    }

    private void checkDeadlines() {
        long now = clock.getAsLong();
        if (now - deadlinesCheckedNanos >= DEADLINE_CHECK_NANOS) {
            deadlinesCheckedNanos = now;
            live.failLate(now);
        }
    }

    private void rest() {
        // With nothing to look after, only a command brings work. Otherwise time does too.
        if (!closing) {
            mailbox.sleep(live.isEmpty() && tasks.isEmpty() ? Long.MAX_VALUE : DEADLINE_CHECK_NANOS);
        }
    }

    private void publishCounts() {
        long oldest = scheduler.oldestWaiting().map(sequence -> sequence.owner().request().times().submitted()).orElse(0L);
        counts = LoopCounts.of(scheduler, cache, oldest, completedSteps, live.isEmpty() ? 0 : progressNanos, numericFailures);
    }

    void checkInvariants() {
        scheduler.checkInvariants();
    }

    /// Fails everything that lives and everything that still comes.
    private void endAll(EngineException cause) {
        if (cause.kind() == EngineException.Kind.DRAINING) {
            live.failAll(cause);
            publishCounts();
        } else {
            live.abandonAll(cause);
        }
        live.wakeReaders();
        end = cause;
        tasks.forEach(task -> task.failed(cause));
        tasks.clear();
        failStragglers();
    }

    /// Fails what reached the mailbox too late. Any thread, once the loop has ended.
    private void failStragglers() {
        for (Command command = mailbox.poll(); command != null; command = mailbox.poll()) {
            if (command instanceof Command.Submit submit) {
                live.abandon(submit.request(), end);
            } else if (command instanceof Command.DropPrefixes drop) {
                drop.answer().completeExceptionally(end);
            } else if (command instanceof Command.Task task) {
                task.task().failed(end);
            }
        }
    }
}
