package dev.sidewinder.scheduler;

import java.util.HashMap;
import java.util.Map;

/// Those that wait with one priority: a line for each tenant, in a ring. The tenant at the front has its turn until its
/// balance is used up; then it goes to the end.
final class QueueLevel<T> {

    final int priority;
    private final Map<TenantAccount, QueueLine<T>> lines = new HashMap<>();
    /// The line at the front of the ring, null when the level is empty.
    private QueueLine<T> front;
    /// The line that had its turn last.
    private QueueLine<T> served;

    QueueLevel(int priority) {
        this.priority = priority;
    }

    boolean isEmpty() {
        return front == null;
    }

    void add(QueueTicket<T> ticket) {
        QueueLine<T> line = lines.get(ticket.account);
        if (line == null) {
            line = new QueueLine<>(this, ticket.account);
            lines.put(ticket.account, line);
            insertAtEnd(line);
        }
        line.add(ticket);
    }

    private void insertAtEnd(QueueLine<T> line) {
        if (front == null) {
            front = line;
            line.next = line;
            line.previous = line;
            return;
        }
        line.next = front;
        line.previous = front.previous;
        front.previous.next = line;
        front.previous = line;
    }

    void remove(QueueTicket<T> ticket) {
        QueueLine<T> line = ticket.line;
        line.remove(ticket);
        if (line.isEmpty()) {
            lines.remove(line.account);
            line.previous.next = line.next;
            line.next.previous = line.previous;
            if (front == line) {
                front = line.next == line ? null : line.next;
            }
        }
    }

    /// The first of the tenant whose turn it is. Asked again, it is the same one until somebody comes, goes or pays.
    QueueTicket<T> next(TenantAccounts accounts) {
        long rounds = Long.MAX_VALUE;
        for (int i = 0; i < lines.size(); i++) {
            if (front.account.balance > 0) {
                return serve();
            }
            rounds = Math.min(rounds, front.account.roundsToTurn());
            front = front.next;
        }
        // All have used up what they had.
        accounts.nextRounds(rounds);
        if (front == served) {
            front = front.next;
        }
        while (front.account.balance <= 0) {
            front = front.next;
        }
        return serve();
    }

    private QueueTicket<T> serve() {
        served = front;
        return front.first();
    }

    /// @return how many wait here
    int checkInvariants() {
        int count = 0;
        QueueLine<T> line = front;
        for (int i = 0; i < lines.size(); i++) {
            if (line.next.previous != line || line.level != this || lines.get(line.account) != line) {
                throw new IllegalStateException("ring is broken at line " + i + " of " + lines.size());
            }
            count += line.checkInvariants();
            line = line.next;
        }
        if (line != front || lines.isEmpty() != (front == null)) {
            throw new IllegalStateException("ring of " + lines.size() + " lines does not close");
        }
        return count;
    }
}
