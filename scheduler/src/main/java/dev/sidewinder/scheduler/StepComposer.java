package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.StateWrite;
import java.util.ArrayList;
import java.util.List;

/// Chooses who goes into a step, and with how many tokens:
///
/// 1. the next token of every sequence that generates;
/// 2. pieces of prompts, those that have begun and those that wait, the short ones and every other time the oldest one first
///    ([PromptTurns]), as far as the step's tokens go and as the time between two tokens allows ([StepBudget]).
///
/// 3. where nobody waits and no prompt goes on: a piece of what a prompt to come is expected to begin with ([Preparations]).
///
/// Who waits is admitted in the order of [FairQueue]: priority, shares of tenants, arrival, and nobody overtaken for ever. The
/// next in turn is waited for when there is no memory for it, so small sequences do not starve a large one.
///
/// Prompts are cut at multiples of 128 positions only (the last piece excepted), so a sequence's arithmetic does not
/// depend on how busy its neighbours kept the step: see docs/architecture.md. A piece whose logits are all wanted is 128
/// tokens at most and alone of its kind in a step, which bounds a step's rows of logits by `maxSequences + 127`.
///
/// @param <O> what owns a sequence
final class StepComposer<O> {

    private final SchedulerLimits limits;
    private final SequenceMemories memories;
    private final FairQueue<Sequence<O>> waiting;
    private final Residents<O> residents;
    private final Preparations<O> preparations;
    private final PromptTurns<O> turns;
    private final StepBudget budget;

    private final List<BatchEntry> entries = new ArrayList<>();
    private List<Sequence<O>> scheduled;
    private boolean scoringPieceTaken;
    private long leftBefore;

    StepComposer(SchedulerLimits limits, PromptOrder prompts, SequenceMemories memories, FairQueue<Sequence<O>> waiting,
            Residents<O> residents, Preparations<O> preparations) {
        this.preparations = preparations;
        turns = new PromptTurns<>(prompts);
        this.limits = limits;
        this.memories = memories;
        this.waiting = waiting;
        this.residents = residents;
        budget = new StepBudget(limits.tokenGapNanos());
    }

    /// Chooses the work of a step.
    ///
    /// @param scheduled gets the sequences of the entries, in their order
    /// @return the entries; valid until the next call
    List<BatchEntry> compose(List<Sequence<O>> scheduled) {
        leftBefore = residents.suspended().departures();
        this.scheduled = scheduled;
        scheduled.clear();
        entries.clear();
        budget.begin(limits.maxBatchTokens());
        scoringPieceTaken = false;

        residents.suspendLeaving();
        residents.bringBack();
        takeDecodes();
        takePrompts();
        takePreparation();
        return entries;
    }

    /// Whether a sequence has left since the composition of the latest step began.
    boolean somebodyLeft() {
        return residents.suspended().departures() != leftBefore;
    }

    /// What the step has to do that was composed last.
    StepLoad load() {
        return budget.load();
    }

    /// Takes in how long a step took, for the sizes of those to come.
    void learn(StepLoad load, long nanos) {
        budget.learn(load, nanos);
    }

    private void takeDecodes() {
        List<Sequence<O>> admitted = residents.admitted();
        for (int i = 0; i < admitted.size() && roomForASequence(); i++) {
            Sequence<O> sequence = admitted.get(i);
            if (sequence.state == Sequence.State.RUNNING && sequence.awaitsDecode()) {
                take(sequence, 1);
            }
        }
    }

    private void takePrompts() {
        makeAPlace();
        List<Sequence<O>> begun = turns.order(residents.admitted());
        boolean admits = true;
        int place = 0;
        while (roomForASequence() && (admits || place < begun.size())) {
            Sequence<O> next = admits && residents.hasPlace() ? nextWaiting() : null;
            if (next != null && (place == begun.size() || turns.goesBefore(next, place))) {
                admits = admit(next);
            } else if (place < begun.size()) {
                takePiece(begun.get(place++));
            } else {
                return;
            }
        }
    }

    private void takePreparation() {
        if (!preparations.isReady() || !roomForASequence() || somebodyHasToWait()) {
            return;
        }
        Sequence<O> piece = preparations.begin(budget, residents.admitted().size());
        if (piece != null) {
            int count = piece.promptTokensLeft();
            entries.add(new BatchEntry(piece.id(), piece.tokens(), piece.launched, count, TokenSource.PROMPT, LogitRows.NONE, piece.memory,
                    List.of()));
            scheduled.add(piece);
            budget.takePiece(piece.launched, count);
            piece.launch(count);
        }
    }

    private boolean somebodyHasToWait() {
        if (waiting.size() > 0 || residents.suspended().size() > 0) {
            return true;
        }
        List<Sequence<O>> admitted = residents.admitted();
        for (int i = 0; i < admitted.size(); i++) {
            if (admitted.get(i).leaving || admitted.get(i).inPrompt()) {
                return true;
            }
        }
        // One that was to decode may have been left out since it waits for a block.
        return scheduled.size() < residents.active();
    }

    /// Where as many take part in steps as may, one of them leaves for a more urgent one.
    private void makeAPlace() {
        Sequence<O> next = residents.hasPlace() ? null : nextWaiting();
        if (next != null) {
            residents.makeWay(next, nextPiece(next));
        }
    }

    private Sequence<O> nextWaiting() {
        QueueTicket<Sequence<O>> ticket = waiting.next();
        return ticket == null || residents.holdsBack(ticket.item()) ? null : ticket.item();
    }

    /// Gives memory and a first piece to one that waits.
    ///
    /// @return whether there was room in the step and in the cache; nobody else may begin in this step otherwise
    private boolean admit(Sequence<O> sequence) {
        int piece = nextPiece(sequence);
        if (piece == 0 || preparations.isBeingPrepared(sequence) || !residents.mayFit(sequence)) {
            return false;
        }
        while (!residents.admit(sequence, piece)) {
            // What a preparation holds comes free with the step under way: nobody leaves for that.
            if (preparations.isUnderWay() || !residents.makeWay(sequence, piece)) {
                return false;
            }
        }
        waiting.admit(sequence.ticket, sequence.promptTokensLeft());
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
    ///
    /// @param count tokens of it
    private boolean take(Sequence<O> sequence, int count) {
        // Another one that was taken before it may have had it suspended.
        if (sequence.leaving || sequence.state != Sequence.State.RUNNING) {
            return false;
        }
        if (residents.waitsForRoom(sequence, count)) {
            return false;
        }
        switch (memories.cover(sequence, count)) {
            case GRANTED -> {
            }
            case AFTER_STEPS -> {
                return false;
            }
            case NO_ROOM -> {
                return !preparations.isUnderWay() && residents.makeRoom(sequence) && take(sequence, count);
            }
        }
        List<StateWrite> writes = memories.keepOnTheWay(sequence, count);
        entries.add(new BatchEntry(sequence.id(), sequence.tokens(), sequence.launched, count, sequence.nextSource(),
                rows(sequence, sequence.launched + count), sequence.memory, writes));
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
}
