package dev.sidewinder.scheduler;

import java.util.Comparator;
import java.util.TreeSet;

/// Bounds how long those with little to say for themselves wait, whatever priorities and shares the others have.
///
/// Work is counted by weight, a number of tokens for each sequence. With `b` the weight of all that had not ended when a
/// sequence arrived, its own included, it is overtaken only until `8 b` have been admitted after it came: whoever would
/// go beyond that lets the one go first that is nearest to its bound.
///
/// **Nobody waits for more than `9 b`.** Let `r` wait, due at `d = a + 8 b`, where `a` had been admitted when it came. As
/// long as others overtake, no more than `d` has been admitted. From then on only those go before `r` that are due no later,
/// or stand before one of these in its line. All of them came before `d` was reached and wait at that moment. Of `r` and those
/// due, the one that came last counted them all when it came, and is due no later than `r`: so they weigh no more than `b`.
///
/// @param <T> who waits
final class Overtaking<T> {

    /// Multiple of the work before a sequence for which it may be overtaken.
    static final long MOST = 8;

    private final TreeSet<QueueTicket<T>> byDue = new TreeSet<>(Comparator.<QueueTicket<T>>comparingLong(ticket -> ticket.dueAt)
            .thenComparingLong(ticket -> ticket.arrival));
    private long admittedWeight;
    private long liveWeight;

    void arrive(QueueTicket<T> ticket) {
        liveWeight += ticket.weight;
        ticket.dueAt = admittedWeight + MOST * liveWeight;
        byDue.add(ticket);
    }

    /// The one that has to go instead of somebody who would go beyond its bound; the somebody itself when that is nobody.
    QueueTicket<T> orMoreUrgent(QueueTicket<T> candidate) {
        QueueTicket<T> first = byDue.first();
        return first != candidate && admittedWeight + candidate.weight > first.dueAt ? first : candidate;
    }

    /// Whether one that is admitted next goes before another one without going beyond that one's bound.
    boolean mayOvertake(QueueTicket<T> waiting, QueueTicket<T> other) {
        return admittedWeight + waiting.weight <= other.dueAt;
    }

    void admit(QueueTicket<T> ticket) {
        byDue.remove(ticket);
        admittedWeight += ticket.weight;
    }

    void withdraw(QueueTicket<T> ticket) {
        byDue.remove(ticket);
    }

    /// It is no work for anybody who comes now.
    void end(QueueTicket<T> ticket) {
        liveWeight -= ticket.weight;
    }

    void checkInvariants(int waiting) {
        if (byDue.size() != waiting || liveWeight < 0) {
            throw new IllegalStateException(byDue.size() + " are due of " + waiting + " that wait, live weight " + liveWeight);
        }
    }
}
