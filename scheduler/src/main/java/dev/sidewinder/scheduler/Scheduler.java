package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.kvcache.SequenceMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Decides what each step runs: continuous batching.
///
/// A step takes, in this order:
///
/// 1. the next token of every sequence that generates;
/// 2. pieces of prompts, those that have begun and those that wait, the short ones and every other time the oldest one first
///    ([PromptTurns]), as far as the step's tokens go and as the time between two tokens allows ([StepBudget]).
///
/// Who waits is admitted in the order of [FairQueue]: priority, shares of tenants, arrival, and nobody overtaken for ever. The
/// next in turn is waited for when there is no memory for it, so small sequences do not starve a large one.
///
/// Prompts are cut at multiples of 128 positions only (the last piece excepted), so a sequence's arithmetic does not
/// depend on how busy its neighbours kept the step: see docs/architecture.md. A piece whose logits are all wanted is 128
/// tokens at most and alone of its kind in a step, which bounds a step's rows of logits by `maxSequences + 127`.
///
/// **No sequence that runs is ever stuck.** Admission promises blocks for the prompt and the first token. A sequence that needs a
/// block which others hold or are promised has one of them suspended, the youngest of the lowest priority, and goes on when its
/// steps under way have completed ([SuspendedSequences]). Where there is no host area, admission promises blocks for the longest
/// answer, too, and nobody needs what others hold.
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
    private final PromptTurns<O> turns = new PromptTurns<>();
    private final StepBudget budget;
    private final Refusals refusals = new Refusals();
    /// All that hold memory, in order of admission, paused ones included.
    private final List<Sequence<O>> admitted = new ArrayList<>();
    private int paused;
    private final SuspendedSequences<O> suspended = new SuspendedSequences<>();
    private final List<Sequence<O>> overloaded = new ArrayList<>();

    /// The latest step launched, and the latest completed; at most two lie between them.
    private long step;
    private long completedStep;
    private final List<BatchEntry> entries = new ArrayList<>();
    /// Sequences of the steps with even and with odd numbers.
    private final List<List<Sequence<O>>> scheduledByStep = List.of(new ArrayList<>(), new ArrayList<>());
    private List<Sequence<O>> scheduled = scheduledByStep.getFirst();
    private final StepLoad[] loadsByStep = {StepLoad.NONE, StepLoad.NONE};
    private boolean scoringPieceTaken;
    private long lateCompletions;

    /// What decode steps leave serves anybody.
    ///
    /// @param cache nobody else launches steps in it
    public Scheduler(SchedulerLimits limits, FrameCache cache) {
        this(limits, cache, DecodedStates.SERVE_ANYBODY);
    }

    /// @param cache nobody else launches steps in it
    public Scheduler(SchedulerLimits limits, FrameCache cache, DecodedStates decoded) {
        this.limits = limits;
        this.cache = cache;
        this.memories = new SequenceMemories(cache, decoded);
        this.budget = new StepBudget(limits.tokenGapNanos());
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
        sequence.state = Sequence.State.WAITING;
        sequence.ticket = waiting.add(sequence, sequence.claim(), sequence.promptTokens(), sequence.maxTokens());
        return new Admission.Queued();
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
        entries.clear();
        scheduled = scheduledByStep.get((int) (step + 1) & 1);
        scheduled.clear();
        budget.begin(limits.maxBatchTokens());
        scoringPieceTaken = false;

        suspendLeaving();
        bringBack();
        takeDecodes();
        takePrompts();

        // Where nothing can run, somebody may wait for what the copies make room for.
        if (entries.isEmpty() && !cache.hasWork()) {
            return new Batch(step, entries, MemoryWork.NONE);
        }
        step++;
        loadsByStep[(int) step & 1] = budget.load();
        return new Batch(step, entries, cache.launch(step));
    }

    /// Those whose last steps have completed.
    private void suspendLeaving() {
        for (int i = admitted.size() - 1; i >= 0; i--) {
            if (admitted.get(i).leaving && !admitted.get(i).isUnderWay()) {
                suspend(admitted.get(i));
            }
        }
    }

    private void suspend(Sequence<O> sequence) {
        boolean waitsForReader = sequence.state == Sequence.State.PAUSED;
        if (!memories.suspend(sequence)) {
            if (!overloaded.contains(sequence)) {
                suspended.noteOverloaded();
                overloaded.add(sequence);
            }
            return;
        }
        paused -= waitsForReader ? 1 : 0;
        sequence.heldForReader = waitsForReader;
        admitted.remove(sequence);
        suspended.add(sequence);
        refusals.hope(completedStep);
    }

    private void bringBack() {
        Sequence<O> next;
        while (active() < limits.maxSequences() && (next = suspended.next()) != null && memories.comeBack(next, admitted.size())) {
            suspended.remove(next);
            admitted.add(SuspendedSequences.place(admitted, next), next);
        }
    }

    /// Has a sequence leave, so that another one can go on in a step to come.
    ///
    /// @return whether it has left and was not the one that asks
    private boolean makeRoom(Sequence<O> sequence) {
        Sequence<O> victim = SuspendedSequences.victim(admitted);
        if (victim == null) {
            return false;
        }
        victim.leaving = true;
        if (!victim.isUnderWay()) {
            suspend(victim);
        }
        return victim != sequence && victim.state == Sequence.State.SUSPENDED;
    }

    /// Sequences that have to be ended since there is no room for them any more, neither here nor on the host; those that were told
    /// before are not told again.
    public List<Sequence<O>> takeOverloaded() {
        List<Sequence<O>> all = List.copyOf(overloaded);
        overloaded.clear();
        return all;
    }

    private void takeDecodes() {
        for (int i = 0; i < admitted.size() && roomForASequence(); i++) {
            Sequence<O> sequence = admitted.get(i);
            if (sequence.state == Sequence.State.RUNNING && sequence.awaitsDecode()) {
                take(sequence, 1);
            }
        }
    }

    private void takePrompts() {
        List<Sequence<O>> begun = turns.order(admitted);
        boolean admits = true;
        int place = 0;
        while (roomForASequence() && (admits || place < begun.size())) {
            Sequence<O> next = admits && active() < limits.maxSequences() ? nextWaiting() : null;
            if (next != null && (place == begun.size() || turns.goesBefore(next, place))) {
                admits = admit(next);
            } else if (place < begun.size()) {
                takePiece(begun.get(place++));
            } else {
                return;
            }
        }
    }

    private Sequence<O> nextWaiting() {
        QueueTicket<Sequence<O>> ticket = waiting.next();
        return ticket == null || suspended.holdBack(ticket.item()) ? null : ticket.item();
    }

    /// Gives memory and a first piece to one that waits.
    ///
    /// @return whether there was room in the step and in the cache; nobody else may begin in this step otherwise
    private boolean admit(Sequence<O> sequence) {
        if (nextPiece(sequence) == 0 || !refusals.mayFit(sequence, completedStep)) {
            return false;
        }
        if (!memories.admit(sequence)) {
            refusals.refused(sequence, completedStep);
            return false;
        }
        waiting.admit(sequence.ticket, sequence.promptTokensLeft());
        admitted.add(sequence);
        return takePiece(sequence);
    }

    private boolean takePiece(Sequence<O> sequence) {
        int piece = nextPiece(sequence);
        return piece > 0 && take(sequence, piece);
    }

    /// Tokens of the prompt that the step may take; 0 when not even a piece of 128 fits.
    private int nextPiece(Sequence<O> sequence) {
        if (!sequence.awaitsScores()) {
            return budget.piece(sequence.launched, sequence.promptTokensLeft());
        }
        if (scoringPieceTaken) {
            return 0;
        }
        int rest = Math.min(sequence.promptTokensLeft(), CacheShape.BLOCK_TOKENS);
        return budget.piece(sequence.launched, rest);
    }

    /// Puts a sequence into the step, unless its blocks come free with the steps under way: then it is left out of this one.
    private boolean take(Sequence<O> sequence, int most) {
        // Another one that was taken before it may have had it suspended.
        if (sequence.leaving || sequence.state != Sequence.State.RUNNING) {
            return false;
        }
        switch (memories.cover(sequence, most)) {
            case GRANTED -> {
            }
            case AFTER_STEPS -> {
                return false;
            }
            case NO_ROOM -> {
                return makeRoom(sequence) && take(sequence, most);
            }
        }
        int count = memories.keepOnTheWay(sequence, most);
        int end = sequence.launched + count;
        entries.add(new BatchEntry(sequence.id(), sequence.tokens(), sequence.launched, count, sequence.nextSource(),
                rows(sequence, end), sequence.memory));
        scheduled.add(sequence);
        if (sequence.inPrompt()) {
            budget.takePiece(sequence.launched, count);
            scoringPieceTaken |= sequence.awaitsScores();
        } else {
            budget.takeDecode(sequence.launched);
        }
        sequence.launch(count);
        return true;
    }

    private static LogitRows rows(Sequence<?> sequence, int end) {
        if (sequence.awaitsScores() && sequence.inPrompt()) {
            return LogitRows.ALL;
        }
        return end < sequence.prefillTokens() ? LogitRows.NONE : LogitRows.LAST;
    }

    private boolean roomForASequence() {
        return scheduled.size() < limits.maxSequences() && budget.hasRoom();
    }

    private int active() {
        return admitted.size() - paused;
    }

    /// The sequence of an entry of the latest batch.
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
        for (int i = 0; i < batch.entries().size(); i++) {
            Sequence<O> sequence = scheduled(batch, i);
            if (sequence.state == Sequence.State.ENDED) {
                lateCompletions++;
                continue;
            }
            sequence.complete(batch.entries().get(i).count());
            memories.completed(sequence);
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
            budget.learn(loadsByStep[(int) batch.step() & 1], nanos);
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
            case RUNNING -> {
            }
            case PAUSED -> paused--;
            case WAITING, SUSPENDED, NEW, ENDED -> {
                end(sequence);
                return Optional.empty();
            }
        }
        sequence.state = Sequence.State.ENDED;
        var detached = new Detached(sequence.memory, sequence.launched);
        leave(sequence);
        sequence.memory = null;
        return Optional.of(detached);
    }

    /// Takes a sequence with memory out because its computation has gone wrong: nothing of it serves others.
    ///
    /// @return what is to be erased before the next step is launched
    public Allocation discard(Sequence<O> sequence) {
        switch (sequence.state) {
            case RUNNING -> { }
            case PAUSED -> paused--;
            case NEW, WAITING, SUSPENDED, ENDED -> throw new IllegalStateException("cannot discard " + sequence);
        }
        leave(sequence);
        sequence.state = Sequence.State.ENDED;
        return memories.discard(sequence);
    }

    /// Takes a sequence out, whatever it does, and gives its memory back: free at once, or after the last step under way.
    public void end(Sequence<O> sequence) {
        switch (sequence.state) {
            case WAITING -> {
                waiting.withdraw(sequence.ticket);
                memories.drop(sequence);
            }
            case RUNNING -> release(sequence);
            case PAUSED -> {
                paused--;
                release(sequence);
            }
            case SUSPENDED -> {
                suspended.remove(sequence);
                memories.forget(sequence);
                waiting.end(sequence.ticket, Math.max(0, sequence.promptTokensLeft()));
            }
            case NEW, ENDED -> throw new IllegalStateException("cannot end " + sequence);
        }
        sequence.state = Sequence.State.ENDED;
    }

    private void release(Sequence<O> sequence) {
        leave(sequence);
        memories.release(sequence);
    }

    private void leave(Sequence<O> sequence) {
        admitted.remove(sequence);
        refusals.hope(completedStep);
        waiting.end(sequence.ticket, Math.max(0, sequence.promptTokensLeft()));
    }

    /// Leaves a running sequence out of the steps to come; it keeps its memory, its place in the order, and the tokens of
    /// the steps under way.
    public void pause(Sequence<O> sequence) {
        if (sequence.state == Sequence.State.SUSPENDED) {
            sequence.heldForReader = true;
            return;
        }
        if (sequence.state != Sequence.State.RUNNING) {
            throw new IllegalStateException("cannot pause " + sequence);
        }
        sequence.state = Sequence.State.PAUSED;
        paused++;
    }

    /// Lets a paused sequence go on.
    public void resume(Sequence<O> sequence) {
        if (sequence.state == Sequence.State.SUSPENDED) {
            sequence.heldForReader = false;
            return;
        }
        if (sequence.state != Sequence.State.PAUSED) {
            throw new IllegalStateException("cannot resume " + sequence);
        }
        sequence.state = Sequence.State.RUNNING;
        paused--;
    }

    /// Steps launched and not completed, 0 to 2.
    public int stepsUnderWay() {
        return (int) (step - completedStep);
    }

    /// Sequences that take part in steps.
    public int running() {
        return active();
    }

    /// Sequences that hold memory and stay out of steps.
    public int paused() {
        return paused;
    }

    /// Sequences that had to leave the device, by what became of them.
    public Preemptions preemptions() {
        return suspended.counts();
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
        suspended.checkInvariants();
        int pausedNow = 0;
        for (Sequence<O> sequence : admitted) {
            boolean runs = sequence.state == Sequence.State.RUNNING || sequence.state == Sequence.State.PAUSED;
            if (!runs) {
                throw new IllegalStateException("admitted and not to run: " + sequence);
            }
            memories.check(sequence);
            if (sequence.inPrompt() && sequence.launched % CacheShape.BLOCK_TOKENS != 0 && sequence.launched != sequence.startTokens()) {
                throw new IllegalStateException("cut off the grid: " + sequence);
            }
            sequence.checkInvariants(stepsUnderWay());
            pausedNow += sequence.state == Sequence.State.PAUSED ? 1 : 0;
        }
        if (waiting.live() != waiting.size() + admitted.size() + suspended.size()) {
            throw new IllegalStateException("the queue knows of " + waiting.live() + " that have not ended; " + waiting.size()
                    + " wait, " + admitted.size() + " hold memory and " + suspended.size() + " are suspended");
        }
        if (pausedNow != paused || admitted.size() != cache.sequences()) {
            throw new IllegalStateException(paused + " of " + admitted.size() + " admitted counted as paused, " + pausedNow
                    + " are; " + cache.sequences() + " sequences have memory");
        }
    }
}
