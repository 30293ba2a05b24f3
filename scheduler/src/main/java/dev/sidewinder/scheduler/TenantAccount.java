package dev.sidewinder.scheduler;

/// What a tenant may still take before it is the next one's turn, in tokens; below zero, what it took in advance.
final class TenantAccount {

    final String tenant;
    long balance;
    /// Sequences that wait, and all that have not ended.
    int waiting;
    int live;

    TenantAccount(String tenant) {
        this.tenant = tenant;
    }

    @Override
    public String toString() {
        return "tenant \"" + tenant + "\" with " + balance + " tokens, " + waiting + " of " + live + " waiting";
    }
}
