package dev.sidewinder.scheduler;

/// Those of one tenant and one priority, in order of arrival. Linked through their tickets, so that a cancelled one leaves
/// from the middle of thousands without a search; and lines of one priority are linked in a ring.
final class QueueLine<T> {

    final QueueLevel<T> level;
    final TenantAccount account;
    private QueueTicket<T> first;
    private QueueTicket<T> last;

    // Neighbours in the ring.
    QueueLine<T> next;
    QueueLine<T> previous;

    QueueLine(QueueLevel<T> level, TenantAccount account) {
        this.level = level;
        this.account = account;
    }

    QueueTicket<T> first() {
        return first;
    }

    boolean isEmpty() {
        return first == null;
    }

    void add(QueueTicket<T> ticket) {
        ticket.line = this;
        ticket.previous = last;
        if (last == null) {
            first = ticket;
        } else {
            last.next = ticket;
        }
        last = ticket;
    }

    void remove(QueueTicket<T> ticket) {
        if (ticket.previous == null) {
            first = ticket.next;
        } else {
            ticket.previous.next = ticket.next;
        }
        if (ticket.next == null) {
            last = ticket.previous;
        } else {
            ticket.next.previous = ticket.previous;
        }
        ticket.previous = null;
        ticket.next = null;
        ticket.line = null;
    }

    /// @return how many wait here
    int checkInvariants() {
        int count = 0;
        QueueTicket<T> before = null;
        for (QueueTicket<T> ticket = first; ticket != null; ticket = ticket.next) {
            boolean inOrder = before == null || before.arrival < ticket.arrival;
            if (ticket.previous != before || ticket.line != this || ticket.account != account || !inOrder) {
                throw new IllegalStateException("line of " + account + " is broken at place " + count + ": " + ticket);
            }
            count++;
            before = ticket;
        }
        if (before != last || count == 0) {
            throw new IllegalStateException("line of " + account + " ends after " + count);
        }
        return count;
    }
}
