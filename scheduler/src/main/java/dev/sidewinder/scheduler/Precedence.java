package dev.sidewinder.scheduler;

import java.util.List;

/// What those that begin or come back have to leave to those that hold memory, and who leaves for one that waits.
///
/// **A prompt may begin before there is room for all of it**, if there is room for its next piece and the host area could take it. What it
/// lacks is *owed* to it: whoever begins or comes back after it leaves that alone, so memory that comes free is its own first, and two
/// prompts that do not fit together never throw each other out. It waits for those that run and makes none of them leave
/// ([#waitsForRoom]), except when all that run are prompts which are owed something.
///
/// **Somebody leaves for one that waits** only if that has a strictly better priority and would not fit otherwise: of the lowest priority the youngest,
/// if with all that may leave there would be room, and if it comes back the same. Nobody leaves so who has left three times, or who was overtaken
/// for so long that it would have its turn in the queue now ([Overtaking]); such a one comes back before any that wait. So the
/// bound on waiting holds to the end of a sequence, and two never throw each other out in turns.
///
/// @param <O> what owns a sequence
final class Precedence<O> {

    /// Left so often, a sequence comes back before any that has not begun, whatever their priority, and leaves for none of them.
    private static final int PATIENCE = 3;

    /// Of a state's frame, for each that runs and leaves states, that those which begin do not take from what is kept. Found with the
    /// simulator where memory is short and load too heavy (docs/decisions/0015): with nothing, more run and compute twice as much of
    /// their prompts again; with a whole frame too few run.
    private static final double KEPT_FRAMES = 0.25;

    private final SequenceMemories memories;
    private final FairQueue<Sequence<O>> waiting;
    private final List<Sequence<O>> admitted;

    /// @param admitted all that hold memory; a view
    Precedence(SequenceMemories memories, FairQueue<Sequence<O>> waiting, List<Sequence<O>> admitted) {
        this.memories = memories;
        this.waiting = waiting;
        this.admitted = admitted;
    }

    /// Blocks that are owed to prompts which go before a sequence: those of a better priority, and of the same one those that were
    /// there before it. One that waits may be overtaken only so often ([FairQueue#mayOvertake]), and so may one that is owed something.
    int owedBefore(Sequence<O> sequence) {
        int owed = 0;
        for (int i = 0; i < admitted.size(); i++) {
            Sequence<O> each = admitted.get(i);
            if (each.state == Sequence.State.RUNNING && !goesBefore(sequence, each)) {
                owed += memories.owedBlocks(each);
            }
        }
        return owed;
    }

    private boolean goesBefore(Sequence<O> one, Sequence<O> other) {
        return one.state == Sequence.State.WAITING ? mayOvertake(one, other) : SuspendedSequences.before(one, other);
    }

    /// Whether one that waits goes before one that has begun.
    private boolean mayOvertake(Sequence<O> waits, Sequence<O> begun) {
        return waits.claim().priority() < begun.claim().priority() && begun.timesSuspended < PATIENCE
                && waiting.mayOvertake(waits.ticket, begun.ticket);
    }

    /// Whether one that waits goes before all that are to come back.
    boolean mayOvertake(Sequence<O> waits, List<Sequence<O>> suspended) {
        for (int i = 0; i < suspended.size(); i++) {
            if (!suspended.get(i).heldForReader && !mayOvertake(waits, suspended.get(i))) {
                return false;
            }
        }
        return true;
    }

    /// Whether whoever is next in the queue goes before all that are to come back.
    boolean queueGoesBefore(List<Sequence<O>> suspended) {
        QueueTicket<Sequence<O>> next = waiting.next();
        return next != null && mayOvertake(next.item(), suspended);
    }

    /// The one to leave for one that waits; null when nobody may, somebody is about to leave already, or it would not help.
    ///
    /// @param pieceTokens of its first piece
    /// @param takesPart   whether it has to be one that takes part in steps, since places in them are what is missing
    Sequence<O> victimFor(Sequence<O> waits, int pieceTokens, boolean takesPart) {
        Sequence<O> victim = null;
        int freed = 0;
        for (int i = 0; i < admitted.size(); i++) {
            Sequence<O> each = admitted.get(i);
            if (each.leaving) {
                return null;
            }
            boolean may = !takesPart || each.state == Sequence.State.RUNNING;
            if (may && mayOvertake(waits, each) && memories.comesBackAlike(each)) {
                freed += memories.freedBlocks(each);
                victim = victim == null || !SuspendedSequences.before(each, victim) ? each : victim;
            }
        }
        return victim != null && fits(waits, pieceTokens, freed) ? victim : null;
    }

    private boolean fits(Sequence<O> waits, int pieceTokens, int freed) {
        int owed = owedBefore(waits);
        return memories.wouldFit(waits, beginsInPart(waits, owed) ? pieceTokens : 0, owed + keptBlocks() - freed);
    }

    /// Whether one that waits may begin with less than it needs.
    ///
    /// @param owed to those before it
    boolean beginsInPart(Sequence<O> waits, int owed) {
        return owed == 0 && memories.fitsOnHost(waits);
    }

    /// Blocks that one which begins leaves to the states that those which run will leave. None where there is no host area: there admission
    /// promises all that a sequence may ever need, and what most of them never do is room enough.
    int keptBlocks() {
        int keeping = 0;
        for (int i = 0; i < admitted.size(); i++) {
            keeping += admitted.get(i).prefixes().partition().isPresent() ? 1 : 0;
        }
        return memories.cache().suspends() ? (int) (KEPT_FRAMES * keeping * memories.cache().pool().shape().blocksPerFrame()) : 0;
    }

    /// Whether a prompt that began with less than it needs waits until others have ended. It leaves a block to each of them meanwhile.
    boolean waitsForRoom(Sequence<O> sequence, int pieceTokens) {
        return sequence.inPrompt() && memories.wantsMoreThan(sequence, pieceTokens, admitted.size() - 1) && othersGoOn(sequence);
    }

    /// Whether somebody runs that has all it was promised, and so ends whatever this one does.
    private boolean othersGoOn(Sequence<O> sequence) {
        for (int i = 0; i < admitted.size(); i++) {
            Sequence<O> each = admitted.get(i);
            if (each != sequence && each.state == Sequence.State.RUNNING && memories.owedBlocks(each) == 0) {
                return true;
            }
        }
        return false;
    }
}
