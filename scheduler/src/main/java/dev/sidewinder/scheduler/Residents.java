package dev.sidewinder.scheduler;

import java.util.ArrayList;
import java.util.List;

/// The sequences that hold memory, and those that had to give theirs back for a while: who gets some, who leaves for whom, and who
/// comes back.
///
/// A sequence that needs a block which others hold or are promised has one of them suspended, the youngest of the lowest priority, and
/// goes on when its steps under way have completed ([SuspendedSequences]).
///
/// @param <O> what owns a sequence
final class Residents<O> {

    private final SequenceMemories memories;
    private final int maxActive;
    private final Refusals refusals = new Refusals();
    /// In order of admission, paused ones included.
    private final List<Sequence<O>> admitted = new ArrayList<>();
    private int paused;
    private final SuspendedSequences<O> suspended = new SuspendedSequences<>();
    private final List<Sequence<O>> overloaded = new ArrayList<>();
    private final Precedence<O> precedence;
    private long completedStep;

    /// @param maxActive sequences that take part in steps at most
    Residents(SequenceMemories memories, FairQueue<Sequence<O>> waiting, int maxActive) {
        this.memories = memories;
        precedence = new Precedence<>(memories, waiting, admitted);
        this.maxActive = maxActive;
    }

    /// All that hold memory, in order of admission, paused ones included. A view.
    List<Sequence<O>> admitted() {
        return admitted;
    }

    SuspendedSequences<O> suspended() {
        return suspended;
    }

    /// Sequences that take part in steps.
    int active() {
        return admitted.size() - paused;
    }

    /// Sequences that hold memory and stay out of steps.
    int paused() {
        return paused;
    }

    /// Whether another one may take part in steps.
    boolean hasPlace() {
        return active() < maxActive;
    }

    /// Notes that a step has completed.
    void stepCompleted(long step) {
        completedStep = step;
    }

    /// Whether there may be memory for one that has not begun: asking the cache costs more than all else in a step.
    boolean mayFit(Sequence<O> sequence) {
        return refusals.mayFit(sequence, completedStep);
    }

    /// Gives memory to one that has not begun: for its whole prompt, or where there is no room for that, for its next piece
    /// ([Precedence]).
    ///
    /// @param pieceTokens of its next piece
    /// @return whether there was room
    boolean admit(Sequence<O> sequence, int pieceTokens) {
        int owed = precedence.owedBefore(sequence);
        if (!memories.admit(sequence, precedence.beginsInPart(sequence, owed) ? pieceTokens : 0, owed + precedence.keptBlocks())) {
            refusals.refused(sequence, completedStep);
            return false;
        }
        admitted.add(sequence);
        return true;
    }

    /// Whether a prompt that began with less than it needs waits until others have ended.
    boolean waitsForRoom(Sequence<O> sequence, int pieceTokens) {
        return precedence.waitsForRoom(sequence, pieceTokens);
    }

    /// Takes one out that ends; its memory is the caller's to see to.
    void remove(Sequence<O> sequence) {
        paused -= sequence.state == Sequence.State.PAUSED ? 1 : 0;
        admitted.remove(sequence);
        refusals.hope(completedStep);
    }

    void pause(Sequence<O> sequence) {
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

    void resume(Sequence<O> sequence) {
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

    /// Has those leave whose last steps have completed.
    void suspendLeaving() {
        for (int i = admitted.size() - 1; i >= 0; i--) {
            if (admitted.get(i).leaving && !admitted.get(i).isUnderWay()) {
                suspend(admitted.get(i));
            }
        }
    }

    private void suspend(Sequence<O> sequence) {
        boolean waitsForReader = sequence.state == Sequence.State.PAUSED;
        if (!memories.suspend(sequence)) {
            // For one that waits nobody is ended: what room there was on the host somebody else has taken meanwhile.
            if (sequence.leavesForWaiting) {
                sequence.leaving = false;
                sequence.leavesForWaiting = false;
                return;
            }
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

    /// Gives memory to those that had to leave, as far as there is any, unless the next in the queue goes before all of them.
    void bringBack() {
        if (suspended.size() == 0 || precedence.queueGoesBefore(suspended.all())) {
            return;
        }
        Sequence<O> next;
        while (hasPlace() && (next = suspended.next()) != null && memories.comeBack(next, precedence.owedBefore(next) + admitted.size())) {
            suspended.remove(next);
            admitted.add(SuspendedSequences.place(admitted, next), next);
        }
    }

    /// Has a sequence leave, so that another one can go on in a step to come.
    ///
    /// @return whether it has left and was not the one that asks
    boolean makeRoom(Sequence<O> sequence) {
        Sequence<O> victim = SuspendedSequences.victim(admitted);
        if (victim == null) {
            return false;
        }
        haveLeave(victim);
        return victim != sequence && victim.state == Sequence.State.SUSPENDED;
    }

    /// Has a sequence leave for a more urgent one that waits, which can begin in a step to come then, if there is one that may.
    ///
    /// @param pieceTokens of its first piece
    /// @return whether somebody has left at once
    boolean makeWay(Sequence<O> waits, int pieceTokens) {
        boolean may = memories.cache().suspends() && !memories.cache().isEmptying();
        Sequence<O> victim = may ? precedence.victimFor(waits, pieceTokens, !hasPlace()) : null;
        if (victim == null) {
            return false;
        }
        victim.leavesForWaiting = true;
        haveLeave(victim);
        return victim.state == Sequence.State.SUSPENDED;
    }

    private void haveLeave(Sequence<O> victim) {
        victim.leaving = true;
        if (!victim.isUnderWay()) {
            suspend(victim);
        }
    }

    /// Whether one that waits has to go on waiting for those that come back.
    boolean holdsBack(Sequence<O> waits) {
        return !precedence.mayOvertake(waits, suspended.all());
    }

    /// Somebody who was never among these has given memory back.
    void memoryCameBack() {
        refusals.hope(completedStep);
    }

    /// Those that have to be ended since there is no room for them any more, neither here nor on the host; each is told once.
    List<Sequence<O>> takeOverloaded() {
        List<Sequence<O>> all = List.copyOf(overloaded);
        overloaded.clear();
        return all;
    }

    /// @throws IllegalStateException when the books do not balance
    ///
    /// @param others that hold memory and are not among these
    void checkInvariants(int stepsUnderWay, int others) {
        suspended.checkInvariants();
        int pausedNow = 0;
        for (Sequence<O> sequence : admitted) {
            boolean runs = sequence.state == Sequence.State.RUNNING || sequence.state == Sequence.State.PAUSED;
            if (!runs) {
                throw new IllegalStateException("admitted and not to run: " + sequence);
            }
            memories.check(sequence);
            sequence.checkInvariants(stepsUnderWay);
            pausedNow += sequence.state == Sequence.State.PAUSED ? 1 : 0;
        }
        int withMemory = memories.cache().sequences();
        if (pausedNow != paused || admitted.size() + others != withMemory) {
            throw new IllegalStateException(paused + " of " + admitted.size() + " admitted counted as paused, " + pausedNow
                    + " are; " + withMemory + " sequences have memory");
        }
    }
}
