package dev.sidewinder.scheduler;

import java.util.ArrayList;
import java.util.List;

/// The sequences that had to leave the device before their end, and how often that happened.
///
/// They come back in order of priority, and of these the one that was admitted first. That one is also the last to leave
/// ([#victim]), so of all sequences of the best priority the oldest always gets on: it leaves only when it is alone, and alone
/// it fits. Therefore every sequence ends, whatever has to leave meanwhile.
final class SuspendedSequences<O> {

    private final List<Sequence<O>> suspended = new ArrayList<>();
    private Preemptions.Left forBlocks = Preemptions.Left.NEVER;
    private Preemptions.Left forStates = Preemptions.Left.NEVER;
    private long overloaded;

    /// The one to leave: of the lowest priority the youngest. Null when one is about to already, or nobody is there.
    static <O> Sequence<O> victim(List<Sequence<O>> admitted) {
        Sequence<O> victim = null;
        for (int i = 0; i < admitted.size(); i++) {
            Sequence<O> each = admitted.get(i);
            if (each.leaving) {
                return null;
            }
            if (victim == null || !before(each, victim)) {
                victim = each;
            }
        }
        return victim;
    }

    /// Whether one comes back before the other, and the other leaves before it.
    static boolean before(Sequence<?> one, Sequence<?> other) {
        int byPriority = Integer.compare(one.claim().priority(), other.claim().priority());
        return byPriority != 0 ? byPriority < 0 : one.ticket.arrival < other.ticket.arrival;
    }

    /// Where a sequence belongs among those that are admitted, which are in order of arrival or nearly so.
    static <O> int place(List<Sequence<O>> admitted, Sequence<O> sequence) {
        int place = admitted.size();
        while (place > 0 && admitted.get(place - 1).ticket.arrival > sequence.ticket.arrival) {
            place--;
        }
        return place;
    }

    void add(Sequence<O> sequence) {
        sequence.timesSuspended++;
        if (sequence.leavesForWaiting) {
            forStates = oneMore(forStates, sequence);
        } else {
            forBlocks = oneMore(forBlocks, sequence);
        }
        sequence.leavesForWaiting = false;
        suspended.add(sequence);
    }

    private static Preemptions.Left oneMore(Preemptions.Left left, Sequence<?> sequence) {
        return sequence.parked == null ? new Preemptions.Left(left.copied(), left.recomputed() + 1)
                : new Preemptions.Left(left.copied() + 1, left.recomputed());
    }

    void remove(Sequence<O> sequence) {
        suspended.remove(sequence);
    }

    void noteOverloaded() {
        overloaded++;
    }

    /// The one that comes back next; null when there is none, or only such as wait for their readers.
    Sequence<O> next() {
        Sequence<O> next = null;
        for (int i = 0; i < suspended.size(); i++) {
            Sequence<O> each = suspended.get(i);
            if (!each.heldForReader && (next == null || before(each, next))) {
                next = each;
            }
        }
        return next;
    }

    /// All that are to come back.
    List<Sequence<O>> all() {
        return suspended;
    }

    /// How often somebody has left.
    long departures() {
        return forBlocks.copied() + forBlocks.recomputed() + forStates.copied() + forStates.recomputed();
    }

    int size() {
        return suspended.size();
    }

    Preemptions counts() {
        return new Preemptions(suspended.size(), forBlocks, forStates, overloaded);
    }

    void checkInvariants() {
        for (Sequence<O> each : suspended) {
            if (each.state != Sequence.State.SUSPENDED || each.memory != null) {
                throw new IllegalStateException("counted as suspended: " + each);
            }
        }
    }
}
