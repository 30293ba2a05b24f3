package dev.sidewinder.scheduler;

/// What a tenant may still take before it is the next one's turn, in tokens; below zero, what it took in advance.
final class TenantAccount {

    final String tenant;
    /// Allowances of a round.
    int weight = 1;
    long balance;
    /// Sequences that wait, and all that have not ended.
    int waiting;
    int live;

    TenantAccount(String tenant) {
        this.tenant = tenant;
    }

    /// Tokens that a round gives it, and the most it saves up.
    long roundTokens() {
        return weight * TenantAccounts.ROUND_TOKENS;
    }

    /// Rounds until its balance is above zero, where it is not.
    long roundsToTurn() {
        return -balance / roundTokens() + 1;
    }

    @Override
    public String toString() {
        return "tenant \"" + tenant + "\" of weight " + weight + " with " + balance + " tokens, " + waiting + " of " + live + " waiting";
    }
}
