package dev.sidewinder.scheduler;

import java.util.TreeMap;

/// Who waits, and whose turn it is:
///
/// 1. the one that has been overtaken for long enough, if the next in turn would go beyond its bound ([Overtaking]);
/// 2. the lowest priority number;
/// 3. of these, the tenant whose turn it is in a round robin by tokens and weights ([TenantAccounts]);
/// 4. of its own, the one that came first.
///
/// Whoever is next is waited for: nobody goes before it because it needs less memory.
///
/// @param <T> who waits
final class FairQueue<T> {

    /// An answer counts as no more than this when work is weighed: most end long before their limit, which may be all that
    /// the model can hold.
    private static final int ANSWER_WEIGHT_TOKENS = 1024;

    private final TreeMap<Integer, QueueLevel<T>> levels = new TreeMap<>();
    private final TenantAccounts accounts = new TenantAccounts();
    private final Overtaking<T> overtaking = new Overtaking<>();

    private QueueTicket<T> oldest;
    private QueueTicket<T> latest;
    private int size;
    private long promptTokens;
    private long arrivals;
    private int live;

    /// Those that wait.
    int size() {
        return size;
    }

    /// Those that wait, and those that had their turn and have not ended.
    int live() {
        return live;
    }

    /// Prompt tokens of all that wait.
    long promptTokens() {
        return promptTokens;
    }

    /// The one that has waited longest, null when nobody waits.
    QueueTicket<T> oldest() {
        return oldest;
    }

    /// Tenants that have something here, or something to pay.
    int tenants() {
        return accounts.size();
    }

    /// What a sequence counts as when work is weighed.
    static long weight(int promptTokens, int maxTokens) {
        return promptTokens + Math.min(maxTokens, ANSWER_WEIGHT_TOKENS);
    }

    /// Lets somebody wait.
    ///
    /// @param maxTokens tokens generated at most
    QueueTicket<T> add(T item, Claim claim, int promptTokens, int maxTokens) {
        var ticket = new QueueTicket<>(item, promptTokens, weight(promptTokens, maxTokens), ++arrivals, accounts.arrive(claim.tenant(), claim.weight()));
        levels.computeIfAbsent(claim.priority(), QueueLevel::new).add(ticket);
        overtaking.arrive(ticket);
        ticket.earlier = latest;
        if (latest == null) {
            oldest = ticket;
        } else {
            latest.later = ticket;
        }
        latest = ticket;
        size++;
        live++;
        this.promptTokens += promptTokens;
        return ticket;
    }

    /// Whose turn it is, null when nobody waits. Asked again, it is the same one until somebody comes, goes or pays.
    QueueTicket<T> next() {
        if (size == 0) {
            return null;
        }
        QueueTicket<T> candidate = levels.firstEntry().getValue().next(accounts);
        // In its own line nobody is overtaken, so those before it there go first.
        return overtaking.orMoreUrgent(candidate).line.first();
    }

    /// Whether somebody that waits may go before one that had its turn and gave way, or is to: as long as it might have overtaken it in
    /// the queue.
    boolean mayOvertake(QueueTicket<T> waiting, QueueTicket<T> other) {
        return overtaking.mayOvertake(waiting, other);
    }

    /// Somebody has its turn now.
    ///
    /// @param tokens of its prompt that will be computed: its tenant pays for them
    void admit(QueueTicket<T> ticket, int tokens) {
        overtaking.admit(ticket);
        // It pays as long as it counts as waiting itself, so that it does not pay for having been alone.
        ticket.paidTokens = accounts.charge(ticket.account, tokens);
        leave(ticket);
    }

    /// Somebody goes without having had its turn.
    void withdraw(QueueTicket<T> ticket) {
        overtaking.withdraw(ticket);
        leave(ticket);
        forget(ticket);
    }

    private void leave(QueueTicket<T> ticket) {
        QueueLevel<T> level = ticket.line.level;
        level.remove(ticket);
        if (level.isEmpty()) {
            levels.remove(level.priority);
        }
        if (ticket.earlier == null) {
            oldest = ticket.later;
        } else {
            ticket.earlier.later = ticket.later;
        }
        if (ticket.later == null) {
            latest = ticket.earlier;
        } else {
            ticket.later.earlier = ticket.earlier;
        }
        ticket.earlier = null;
        ticket.later = null;
        size--;
        promptTokens -= ticket.promptTokens();
        accounts.leaveQueue(ticket.account);
    }

    /// Somebody that had its turn got a token: its tenant pays for it.
    void generated(QueueTicket<T> ticket) {
        accounts.charge(ticket.account, 1);
    }

    /// Somebody that had its turn has ended.
    ///
    /// @param tokens of its prompt that were not computed
    void end(QueueTicket<T> ticket, int tokens) {
        accounts.refund(ticket.account, Math.min(tokens, ticket.paidTokens));
        forget(ticket);
    }

    private void forget(QueueTicket<T> ticket) {
        live--;
        overtaking.end(ticket);
        accounts.end(ticket.account);
    }

    void checkInvariants() {
        int inLevels = 0;
        for (QueueLevel<T> level : levels.values()) {
            if (level.isEmpty()) {
                throw new IllegalStateException("a level that nobody waits in");
            }
            inLevels += level.checkInvariants();
        }
        int count = 0;
        long tokens = 0;
        QueueTicket<T> before = null;
        for (QueueTicket<T> ticket = oldest; ticket != null; ticket = ticket.later) {
            if (ticket.earlier != before || !ticket.waits()) {
                throw new IllegalStateException("queue is broken at place " + count + ": " + ticket);
            }
            count++;
            tokens += ticket.promptTokens();
            before = ticket;
        }
        if (before != latest || count != size || inLevels != size || tokens != promptTokens) {
            throw new IllegalStateException("queue counts " + size + " and " + promptTokens + " tokens, holds " + count + " and "
                    + tokens + ", " + inLevels + " of them in levels");
        }
        overtaking.checkInvariants(size);
        accounts.checkInvariants();
    }
}
