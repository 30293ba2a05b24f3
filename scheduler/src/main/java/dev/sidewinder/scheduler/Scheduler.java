package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.kvcache.SequenceMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/// Decides what each step runs: continuous batching. What a sequence goes through between its arrival and its end is here; who goes
/// into a step is chosen by [StepComposer], and who has memory, and who leaves for whom, is in [Residents].
///
/// **No sequence that runs is ever stuck.** Admission promises blocks for the prompt and the first token, or for the next piece of the
/// prompt, which waits for the rest of them then ([Precedence]). Else a sequence that needs a
/// block which others hold or are promised has one of them suspended, the youngest of the lowest priority, and goes on when its
/// steps under way have completed ([SuspendedSequences]). Where there is no host area, admission promises blocks for prompt and longest answer,
/// and nobody needs what others hold.
///
/// **Two steps may be under way.** [#ahead()] chooses a step behind one whose tokens nobody has seen yet: every sequence
/// of that step is taken to get a token and to go on, up to its limit. Should it end after all, its entry of the second step
/// is passed over when that completes, and its memory stays fenced until then.
///
/// @param <O> what owns a sequence; never looked at
public final class Scheduler<O> {

    private final SchedulerLimits limits;
    private final FrameCache cache;
    private final SequenceMemories memories;

    private final FairQueue<Sequence<O>> waiting = new FairQueue<>();
    private final Residents<O> residents;
    private final Preparations<O> preparations;
    private final StepComposer<O> composer;
    private Optional<Allocation> spoiledPreparation = Optional.empty();

    /// The latest step launched, and the latest completed; at most two lie between them.
    private long step;
    private long completedStep;
    /// Sequences of the steps with even and with odd numbers.
    private final List<List<Sequence<O>>> scheduledByStep = List.of(new ArrayList<>(), new ArrayList<>());
    private List<Sequence<O>> scheduled = scheduledByStep.getFirst();
    private final StepLoad[] loadsByStep = {StepLoad.NONE, StepLoad.NONE};
    private long lateCompletions;

    /// What decode steps leave serves anybody.
    ///
    /// @param cache nobody else launches steps in it
    public Scheduler(SchedulerLimits limits, FrameCache cache) {
        this(limits, cache, DecodedStates.SERVE_ANYBODY);
    }

    /// @param cache nobody else launches steps in it
    public Scheduler(SchedulerLimits limits, FrameCache cache, DecodedStates decoded) {
        this(limits, cache, decoded, PromptOrder.TURNS);
    }

    /// @param cache nobody else launches steps in it
    public Scheduler(SchedulerLimits limits, FrameCache cache, DecodedStates decoded, PromptOrder prompts) {
        this.limits = limits;
        this.cache = cache;
        this.memories = new SequenceMemories(cache, decoded);
        this.residents = new Residents<>(memories, waiting, limits.maxSequences());
        this.preparations = new Preparations<>(memories);
        this.composer = new StepComposer<>(limits, prompts, memories, waiting, residents, preparations);
    }

    /// Puts a sequence in the queue, or says that it can never run.
    public Admission submit(Sequence<O> sequence) {
        if (sequence.state != Sequence.State.NEW) {
            throw new IllegalStateException("submitted before: " + sequence);
        }
        var refusal = neverFits(sequence.promptTokens(), sequence.maxTokens(), cache.pool().shape(), limits.maxSequenceTokens());
        if (refusal.isPresent()) {
            return refusal.get();
        }
        preparations.arrived(sequence);
        sequence.state = Sequence.State.WAITING;
        sequence.ticket = waiting.add(sequence, sequence.claim(), sequence.promptTokens(), sequence.maxTokens());
        return new Admission.Queued();
    }

    /// Has the beginning of a prompt computed that is expected to come, when there is nothing better to do, if that saves enough. Not as long
    /// as anybody waits, and no more of it once the prompt has come ([Preparations]).
    public void prepare(Preparation preparation) {
        preparations.offer(preparation, limits.maxSequenceTokens());
    }

    /// Nothing is prepared any more for some partitions, and what a step under way leaves for them is not kept.
    public void forgetPreparations(Predicate<Partition> which) {
        preparations.forget(which);
    }

    public PreparationCounts preparations() {
        return preparations.counts();
    }

    /// What is to be erased before the next step is launched, since a preparation came to NaN or infinity; told once.
    public Optional<Allocation> takeSpoiledPreparation() {
        Optional<Allocation> spoiled = spoiledPreparation;
        spoiledPreparation = Optional.empty();
        return spoiled;
    }

    /// Whether a sequence of this size could never run, whatever else does. Reads nothing that changes: any thread may ask.
    ///
    /// @param frames            the pool
    /// @param maxSequenceTokens length limit of a sequence
    public static Optional<Admission.NeverFits> neverFits(int promptTokens, int maxTokens, FrameShape frames, int maxSequenceTokens) {
        // The last token generated is never computed, so an answer may reach one token beyond the cache.
        long cacheTokens = frames.mostTokens() + (maxTokens > 0 ? 1 : 0);
        long limit = Math.min(maxSequenceTokens, cacheTokens);
        long tokens = (long) promptTokens + maxTokens;
        return tokens <= limit ? Optional.empty() : Optional.of(new Admission.NeverFits(tokens, limit));
    }

    /// Chooses the work of the next step; empty when nothing can run now. No step may be under way.
    public Batch next() {
        if (stepsUnderWay() > 0) {
            throw new IllegalStateException("asked for work while step " + step + " is under way");
        }
        return choose();
    }

    /// Chooses the work of the step behind the one under way, before that has completed; empty when nothing can run.
    public Batch ahead() {
        if (stepsUnderWay() != 1) {
            throw new IllegalStateException("asked for the work behind a step while " + stepsUnderWay() + " are under way, step "
                    + step + " the latest; there must be one");
        }
        return choose();
    }

    private Batch choose() {
        scheduled = scheduledByStep.get((int) (step + 1) & 1);
        List<BatchEntry> entries = composer.compose(scheduled);
        // Who left at once, to be computed again, has made room that nobody could know of when it was asked for.
        for (int i = 0; i < limits.maxSequences() && entries.isEmpty() && !cache.hasWork() && composer.somebodyLeft(); i++) {
            entries = composer.compose(scheduled);
        }
        // Where nothing can run, somebody may wait for what the copies make room for.
        if (entries.isEmpty() && !cache.hasWork()) {
            return new Batch(step, entries, MemoryWork.NONE);
        }
        step++;
        loadsByStep[(int) step & 1] = composer.load();
        return new Batch(step, entries, cache.launch(step));
    }

    /// Sequences that have to be ended since there is no room for them any more, neither here nor on the host; those that were told
    /// before are not told again.
    public List<Sequence<O>> takeOverloaded() {
        return residents.takeOverloaded();
    }

    /// The sequence of an entry of the latest batch; one of a preparation has no owner.
    public Sequence<O> scheduled(int entry) {
        return scheduled.get(entry);
    }

    /// The sequence of an entry of one of the latest two batches.
    public Sequence<O> scheduled(Batch batch, int entry) {
        if (batch.step() > step || batch.step() < step - 1) {
            throw new IllegalArgumentException("the sequences of step " + batch.step() + " where step " + step + " is the latest");
        }
        return scheduledByStep.get((int) batch.step() & 1).get(entry);
    }

    /// Notes that a step has run, the earliest of those under way, and appends what was sampled. Sequences that ended in
    /// the meantime are passed over.
    ///
    /// @param tokens for entries whose sequence goes on; the owner ends those that are done, and those that got no token
    ///               where one was due
    public void complete(Batch batch, SampledTokens tokens) {
        if (batch.step() != completedStep + 1 || batch.step() > step) {
            throw new IllegalStateException("completed step " + batch.step() + " where steps " + (completedStep + 1) + " to "
                    + step + " are under way");
        }
        completedStep = batch.step();
        cache.stepCompleted(completedStep);
        residents.stepCompleted(completedStep);
        for (int i = 0; i < batch.entries().size(); i++) {
            Sequence<O> sequence = scheduled(batch, i);
            if (sequence.state == Sequence.State.ENDED) {
                lateCompletions++;
                continue;
            }
            sequence.complete(batch.entries().get(i).count());
            if (preparations.isPiece(sequence)) {
                spoiledPreparation = preparations.completed(tokens.isSpoiled(i));
                residents.memoryCameBack();
                continue;
            }
            if (!tokens.isSpoiled(i)) {
                memories.completed(sequence);
            }
            if (tokens.has(i)) {
                sequence.append(tokens.get(i));
                waiting.generated(sequence.ticket);
            }
        }
    }

    /// Takes in how long one of the latest two steps took, for the sizes of those to come.
    ///
    /// @param nanos from the end of the step before, or from its launch if that was later, to its tokens
    public void measured(Batch batch, long nanos) {
        if (batch.step() > step || batch.step() < step - 1) {
            throw new IllegalArgumentException("the time of step " + batch.step() + " where step " + step + " is the latest");
        }
        if (!batch.entries().isEmpty()) {
            composer.learn(loadsByStep[(int) batch.step() & 1], nanos);
        }
    }

    /// What a sequence leaves to its owner.
    ///
    /// @param memory   to be closed or suspended
    /// @param computed tokens that it is of, once the steps launched so far have completed
    public record Detached(SequenceMemory memory, int computed) {}

    /// Takes a sequence out as [#end] does, and leaves its memory to the owner; empty when it has none.
    public Optional<Detached> detach(Sequence<O> sequence) {
        switch (sequence.state) {
            case RUNNING, PAUSED -> leave(sequence);
            case WAITING, SUSPENDED, NEW, ENDED -> {
                end(sequence);
                return Optional.empty();
            }
        }
        var detached = new Detached(sequence.memory, sequence.launched);
        sequence.memory = null;
        return Optional.of(detached);
    }

    /// Takes a sequence with memory out because its computation has gone wrong: nothing of it serves others.
    ///
    /// @return what is to be erased before the next step is launched
    public Allocation discard(Sequence<O> sequence) {
        switch (sequence.state) {
            case RUNNING, PAUSED -> leave(sequence);
            case NEW, WAITING, SUSPENDED, ENDED -> throw new IllegalStateException("cannot discard " + sequence);
        }
        return memories.discard(sequence);
    }

    /// Takes a sequence out, whatever it does, and gives its memory back: free at once, or after the last step under way.
    public void end(Sequence<O> sequence) {
        switch (sequence.state) {
            case WAITING -> {
                waiting.withdraw(sequence.ticket);
                memories.drop(sequence);
            }
            case RUNNING, PAUSED -> {
                leave(sequence);
                memories.release(sequence);
            }
            case SUSPENDED -> {
                residents.suspended().remove(sequence);
                memories.forget(sequence);
                waiting.end(sequence.ticket, Math.max(0, sequence.promptTokensLeft()));
            }
            case NEW, ENDED -> throw new IllegalStateException("cannot end " + sequence);
        }
        sequence.state = Sequence.State.ENDED;
    }

    private void leave(Sequence<O> sequence) {
        residents.remove(sequence);
        waiting.end(sequence.ticket, Math.max(0, sequence.promptTokensLeft()));
        sequence.state = Sequence.State.ENDED;
    }

    /// Leaves a running sequence out of the steps to come; it keeps its memory, its place in the order, and the tokens of
    /// the steps under way.
    public void pause(Sequence<O> sequence) {
        residents.pause(sequence);
    }

    /// Lets a paused sequence go on.
    public void resume(Sequence<O> sequence) {
        residents.resume(sequence);
    }

    /// Steps launched and not completed, 0 to 2.
    public int stepsUnderWay() {
        return (int) (step - completedStep);
    }

    /// Sequences that take part in steps.
    public int running() {
        return residents.active();
    }

    /// Sequences that hold memory and stay out of steps.
    public int paused() {
        return residents.paused();
    }

    /// Sequences that had to leave the device, by what became of them.
    public Preemptions preemptions() {
        return residents.suspended().counts();
    }

    public int waiting() {
        return waiting.size();
    }

    /// Prompt tokens of those that wait.
    public long waitingTokens() {
        return waiting.promptTokens();
    }

    /// The sequence that has waited longest.
    public Optional<Sequence<O>> oldestWaiting() {
        return Optional.ofNullable(waiting.oldest()).map(QueueTicket::item);
    }

    /// Entries of steps whose sequence had ended when the step completed.
    public long lateCompletions() {
        return lateCompletions;
    }

    /// @throws IllegalStateException when the books do not balance
    public void checkInvariants() {
        cache.checkInvariants();
        waiting.checkInvariants();
        preparations.checkInvariants();
        residents.checkInvariants(stepsUnderWay(), preparations.holding());
        List<Sequence<O>> admitted = residents.admitted();
        for (Sequence<O> sequence : admitted) {
            if (sequence.inPrompt() && sequence.launched % CacheShape.BLOCK_TOKENS != 0 && sequence.launched != sequence.startTokens()) {
                throw new IllegalStateException("cut off the grid: " + sequence);
            }
        }
        int suspended = residents.suspended().size();
        if (waiting.live() != waiting.size() + admitted.size() + suspended) {
            throw new IllegalStateException("the queue knows of " + waiting.live() + " that have not ended; " + waiting.size()
                    + " wait, " + admitted.size() + " hold memory and " + suspended + " are suspended");
        }
    }
}
