package dev.sidewinder.engine;

import dev.sidewinder.engine.EngineObserver.RequestOutcome;
import dev.sidewinder.engine.EngineObserver.StepKind;
import dev.sidewinder.engine.EngineObserver.StepPhases;
import dev.sidewinder.kvcache.SequenceCache;
import dev.sidewinder.scheduler.Admission;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.SampledTokens;
import dev.sidewinder.scheduler.Scheduler;
import dev.sidewinder.scheduler.Sequence;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/// The engine thread: takes commands from the mailbox and runs one step after the other. It owns scheduler, cache and
/// backend. Other threads use [#send], [#counts] and [#hasEnded] only.
final class EngineLoop implements Runnable {

    private static final System.Logger LOG = System.getLogger(EngineLoop.class.getName());

    /// Deadlines are in seconds: looking at them this often is exact enough and costs nothing.
    private static final long DEADLINE_CHECK_NANOS = TimeUnit.MILLISECONDS.toNanos(20);

    private enum StepResult {
        IDLE, RAN
    }

    private final Backend backend;
    private final EngineObserver observer;
    private final LongSupplier clock;
    private final QueuePlaces places;
    private final Mailbox mailbox = new Mailbox();
    private final Deadlines deadlines;

    private final SequenceCache cache;
    private final Scheduler<Choice> scheduler;
    private final BatchSampler sampler;
    private final Set<LiveRequest> live = new LinkedHashSet<>();
    private final List<RequestStream> toWake = new ArrayList<>();

    private long completedSteps;
    private long numericFailures;
    private long progressNanos;
    private long deadlinesCheckedNanos;
    private boolean closing;

    private volatile LoopCounts counts;
    private volatile EngineException end;

    EngineLoop(Backend backend, EngineLimits limits, EngineObserver observer, QueuePlaces places, LongSupplier clock) {
        this.backend = backend;
        this.observer = observer;
        this.places = places;
        this.clock = clock;
        this.deadlines = new Deadlines(limits.timeouts());
        this.cache = new SequenceCache(backend.cacheShape());
        this.scheduler = new Scheduler<>(limits.forScheduler(), cache);
        this.sampler = new BatchSampler(backend.vocabSize(), limits.maxSequences());
        publishCounts();
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

    @Override
    public void run() {
        try {
            while (!closing) {
                takeCommands();
                checkDeadlines();
                StepResult result = step();
                publishCounts();
                wakeReaders();
                if (result == StepResult.IDLE && !closing) {
                    rest();
                }
            }
            endAll(new EngineException(EngineException.Kind.DRAINING, "the engine has been closed"));
        } catch (Throwable failure) {
            LOG.log(Level.ERROR, () -> "engine failed in step " + (completedSteps + 1) + " with " + live.size()
                    + " requests: " + counts, failure);
            endAll(new EngineException(EngineException.Kind.ENGINE_FAILED, "the engine has failed"));
        }
    }

    /// Runs one step: choose work, compute it, hand out what came of it.
    private StepResult step() {
        long start = System.nanoTime();
        Batch batch = scheduler.next();
        if (batch.isEmpty()) {
            return StepResult.IDLE;
        }
        StepKind kind = noteScheduled(batch);
        long launched = System.nanoTime();
        Logits logits = backend.forward(batch);
        long computed = System.nanoTime();
        SampledTokens tokens = sampler.sample(batch, logits, scheduler);
        scheduler.complete(batch, tokens);
        long sampled = System.nanoTime();
        publish(batch);

        completedSteps++;
        progressNanos = clock.getAsLong();
        observer.stepCompleted(kind, batch.entries().size(), batch.tokens(), sampled - launched,
                new StepPhases(launched - start, computed - launched, sampled - computed, System.nanoTime() - sampled));
        return StepResult.RAN;
    }

    /// Gives back the queue places of sequences that run for the first time.
    private StepKind noteScheduled(Batch batch) {
        int decodes = 0;
        for (int i = 0; i < batch.entries().size(); i++) {
            Choice choice = scheduler.scheduled(i).owner();
            if (choice.holdsPlace()) {
                givePlaceBack(choice);
                choice.request().scheduled(clock.getAsLong());
            }
            if (batch.entries().get(i).from() >= choice.sequence().promptTokens()) {
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
            Choice choice = scheduler.scheduled(i).owner();
            // A neighbour may have taken the whole request with it.
            if (!choice.hasEnded()) {
                publish(batch.entries().get(i), choice, sampler.of(i), now);
            }
        }
    }

    private void publish(BatchEntry entry, Choice choice, Sample sample, long now) {
        boolean promptDone = entry.from() < choice.sequence().promptTokens()
                && entry.from() + entry.count() >= choice.sequence().promptTokens();
        if (promptDone && choice.sequence().scoresPrompt() && sample != Sample.NOT_FINITE) {
            LiveRequest request = choice.request();
            request.stream().publish(new GenerationEvent.PromptScored(request.promptLogprobs()));
            submitHeldBack(request);
        }
        switch (sample) {
            case Sample.Chosen chosen -> publishToken(choice, chosen, now);
            case Sample.NothingAllowed _ -> {
                observer.deadEnd();
                finish(choice, FinishReason.STOP);
            }
            case Sample.NotFinite _ -> {
                numericFailures++;
                observer.numericFailure();
                fail(choice.request(), new EngineException(EngineException.Kind.NUMERIC, "the model computed NaN or infinity"));
            }
            case null -> {
                if (promptDone) {
                    finish(choice, FinishReason.LENGTH);
                }
            }
        }
    }

    private void publishToken(Choice choice, Sample.Chosen chosen, long now) {
        LiveRequest request = choice.request();
        Sequence<Choice> sequence = choice.sequence();
        boolean stop = choice.sampling().isStop(chosen.token());
        request.token(now);
        request.stream().publish(new GenerationEvent.Token(choice.index(), sequence.generatedTokens() - 1, chosen.token(),
                chosen.logprobs(), stop));
        toWake.add(request.stream());
        if (stop || sequence.generatedTokens() == sequence.maxTokens()) {
            finish(choice, stop ? FinishReason.STOP : FinishReason.LENGTH);
        } else if (request.isPaused()) {
            scheduler.pause(sequence);
        } else if (request.stream().undeliveredBytes() > RequestStream.PAUSE_BYTES) {
            pause(request, now);
        }
    }

    private void takeCommands() {
        for (Command command = mailbox.poll(); command != null; command = mailbox.poll()) {
            switch (command) {
                case Command.Submit submit -> accept(submit.request());
                case Command.Cancel cancel -> cancel(cancel.request(), cancel.step());
                case Command.CancelChoice cancel -> cancel(cancel.request().choices().get(cancel.choice()), cancel.step());
                case Command.Resume resume -> resume(resume.request());
                case Command.Close _ -> closing = true;
            }
        }
    }

    private void accept(LiveRequest request) {
        if (live.isEmpty()) {
            progressNanos = clock.getAsLong();
        }
        live.add(request);
        // The prompt's scores come before the first token of any choice, so the other choices wait for them.
        int now = request.request().scoresPrompt() ? 1 : request.choices().size();
        for (int i = 0; i < now; i++) {
            submit(request.choices().get(i));
        }
    }

    private void submitHeldBack(LiveRequest request) {
        for (Choice choice : request.choices()) {
            if (choice.sequence().state() == Sequence.State.NEW && !choice.hasEnded()) {
                submit(choice);
            }
        }
    }

    private void submit(Choice choice) {
        switch (scheduler.submit(choice.sequence())) {
            case Admission.Queued _ -> {
            }
            case Admission.NeverFits refusal -> throw new IllegalStateException("let in a request that can never run: " + refusal);
        }
    }

    private void cancel(LiveRequest request, long askedAtStep) {
        for (Choice choice : request.choices()) {
            cancel(choice, askedAtStep);
        }
    }

    private void cancel(Choice choice, long askedAtStep) {
        if (choice.hasEnded()) {
            return;
        }
        boolean heldMemory = switch (choice.sequence().state()) {
            case RUNNING, PAUSED -> true;
            case NEW, WAITING, ENDED -> false;
        };
        choice.request().markCancelled();
        finish(choice, FinishReason.CANCELLED);
        if (heldMemory) {
            observer.freedAfterCancel((int) (completedSteps - askedAtStep));
        }
    }

    private void pause(LiveRequest request, long now) {
        if (!request.stream().pause()) {
            return;
        }
        request.pause(now);
        for (Choice choice : request.choices()) {
            if (choice.sequence().state() == Sequence.State.RUNNING) {
                scheduler.pause(choice.sequence());
            }
        }
    }

    private void resume(LiveRequest request) {
        request.resume();
        for (Choice choice : request.choices()) {
            if (choice.sequence().state() == Sequence.State.PAUSED) {
                scheduler.resume(choice.sequence());
            }
        }
    }

    private void checkDeadlines() {
        long now = clock.getAsLong();
        if (now - deadlinesCheckedNanos < DEADLINE_CHECK_NANOS) {
            return;
        }
        deadlinesCheckedNanos = now;
        for (LiveRequest request : List.copyOf(live)) {
            deadlines.missed(request, now).ifPresent(miss -> fail(request, miss));
        }
    }

    private void finish(Choice choice, FinishReason reason) {
        LiveRequest request = choice.request();
        takeOut(choice);
        request.stream().publish(new GenerationEvent.Finished(choice.index(), reason));
        toWake.add(request.stream());
        if (request.choiceEnded()) {
            leave(request, request.isCancelled() ? RequestOutcome.CANCELLED : RequestOutcome.COMPLETED);
        } else if (choice.sequence().scoresPrompt()) {
            submitHeldBack(request);
        }
    }

    private void fail(LiveRequest request, EngineException cause) {
        for (Choice choice : request.choices()) {
            if (!choice.hasEnded()) {
                takeOut(choice);
            }
        }
        request.stream().publish(new GenerationEvent.Failed(cause));
        toWake.add(request.stream());
        leave(request, RequestOutcome.FAILED);
    }

    private void takeOut(Choice choice) {
        choice.markEnded();
        if (choice.sequence().state() != Sequence.State.NEW) {
            scheduler.end(choice.sequence());
        }
        if (choice.holdsPlace()) {
            givePlaceBack(choice);
        }
    }

    private void givePlaceBack(Choice choice) {
        choice.placeGivenBack();
        places.giveBack(1, choice.sequence().promptTokens());
    }

    private void leave(LiveRequest request, RequestOutcome outcome) {
        live.remove(request);
        observer.requestEnded(outcome, request.times());
    }

    private void wakeReaders() {
        for (int i = 0; i < toWake.size(); i++) {
            toWake.get(i).wake();
        }
        toWake.clear();
    }

    private void rest() {
        // With nothing to look after, only a command brings work. Otherwise time does too.
        mailbox.sleep(live.isEmpty() ? Long.MAX_VALUE : DEADLINE_CHECK_NANOS);
    }

    private void publishCounts() {
        long oldest = scheduler.oldestWaiting().map(sequence -> sequence.owner().request().times().submitted()).orElse(0L);
        counts = LoopCounts.of(scheduler, cache, oldest, completedSteps, live.isEmpty() ? 0 : progressNanos, numericFailures);
    }

    void checkInvariants() {
        scheduler.checkInvariants();
    }

    /// Fails everything that lives and everything that still comes. After a failure the books are not to be trusted, so
    /// nothing is taken out of them.
    private void endAll(EngineException cause) {
        if (cause.kind() == EngineException.Kind.DRAINING) {
            List.copyOf(live).forEach(request -> fail(request, cause));
            publishCounts();
        } else {
            live.forEach(request -> abandon(request, cause));
            live.clear();
        }
        wakeReaders();
        end = cause;
        failStragglers();
    }

    private void abandon(LiveRequest request, EngineException cause) {
        for (Choice choice : request.choices()) {
            if (choice.holdsPlace()) {
                givePlaceBack(choice);
            }
        }
        request.stream().publish(new GenerationEvent.Failed(cause));
        request.stream().wake();
        observer.requestEnded(RequestOutcome.FAILED, request.times());
    }

    /// Fails the requests that reached the mailbox too late. Any thread, once the loop has ended.
    private void failStragglers() {
        for (Command command = mailbox.poll(); command != null; command = mailbox.poll()) {
            if (command instanceof Command.Submit submit) {
                abandon(submit.request(), end);
            }
        }
    }
}
