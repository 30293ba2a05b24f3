package dev.sidewinder.scheduler;

/// The place of one sequence in a [FairQueue]: kept from its arrival to its end, since its tenant pays for what it computes,
/// and since those who come after count it as work before them.
///
/// @param <T> who waits
final class QueueTicket<T> {

    private final T item;
    private final int promptTokens;
    /// What it counts as when work before somebody is summed up, tokens.
    final long weight;
    /// Number of its arrival.
    final long arrival;
    final TenantAccount account;

    /// Tokens of work that may have been admitted in all before nobody overtakes it any more.
    long dueAt;
    /// Its line while it waits, null afterwards.
    QueueLine<T> line;
    /// Prompt tokens that the tenant has paid for and that may turn out not to be computed.
    int paidTokens;

    // Neighbours in its line.
    QueueTicket<T> next;
    QueueTicket<T> previous;
    // Neighbours by arrival.
    QueueTicket<T> later;
    QueueTicket<T> earlier;

    QueueTicket(T item, int promptTokens, long weight, long arrival, TenantAccount account) {
        this.item = item;
        this.promptTokens = promptTokens;
        this.weight = weight;
        this.arrival = arrival;
        this.account = account;
    }

    T item() {
        return item;
    }

    int promptTokens() {
        return promptTokens;
    }

    boolean waits() {
        return line != null;
    }

    @Override
    public String toString() {
        return "number " + arrival + " of " + account + ", weight " + weight + ", due at " + dueAt + ": " + item;
    }
}
