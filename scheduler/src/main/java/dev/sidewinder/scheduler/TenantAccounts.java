package dev.sidewinder.scheduler;

import java.util.HashMap;
import java.util.Map;

/// Deficit round robin over tenants, in tokens: each round gives every tenant an allowance in proportion to its weight, a tenant has
/// its turn as long as its balance is above zero, and pays for what it computes. What an answer will cost is not known when it begins, so
/// a balance may fall below zero; the tenant then waits for as many rounds as it takes.
///
/// A tenant pays only while another one waits: what nobody else wanted is free. When nobody waits, all debts are forgotten.
/// Allowances are not saved up beyond one round, and not at all by those who have nothing waiting.
///
/// Weights decide as long as [Overtaking] lets them: whoever has waited for eight times the work that was before it goes first, so a
/// tenant whose share is small beside the work it has waiting gets more than that share.
///
/// Source: Shreedhar and Varghese 1995, "Efficient Fair Queuing Using Deficit Round Robin", with the debt of "surplus round
/// robin" in place of a cost that is known before.
final class TenantAccounts {

    /// The allowance of weight 1. Small enough for turns to change every few requests, large enough that a chat request mostly takes one round.
    static final long ROUND_TOKENS = 2048;

    private final Map<String, TenantAccount> accounts = new HashMap<>();
    private int waitingTenants;

    /// One more sequence of a tenant waits.
    ///
    /// @param weight of the tenant from now on
    TenantAccount arrive(String tenant, int weight) {
        TenantAccount account = accounts.computeIfAbsent(tenant, TenantAccount::new);
        account.weight = weight;
        account.balance = Math.min(account.balance, account.roundTokens());
        account.live++;
        if (account.waiting++ == 0) {
            waitingTenants++;
        }
        return account;
    }

    /// One of its sequences does not wait any more.
    void leaveQueue(TenantAccount account) {
        if (--account.waiting == 0) {
            waitingTenants--;
            account.balance = Math.min(account.balance, 0);
        }
        if (waitingTenants == 0) {
            forgetDebts();
        }
    }

    /// One of its sequences has ended.
    void end(TenantAccount account) {
        account.live--;
        dropIfIdle(account);
    }

    private void dropIfIdle(TenantAccount account) {
        if (account.live == 0 && account.balance == 0) {
            accounts.remove(account.tenant);
        }
    }

    private void forgetDebts() {
        accounts.values().removeIf(account -> {
            account.balance = 0;
            return account.live == 0;
        });
    }

    /// Takes tokens off a balance, if somebody else could have had them.
    ///
    /// @return how many were taken off
    int charge(TenantAccount account, int tokens) {
        boolean contended = waitingTenants > (account.waiting > 0 ? 1 : 0);
        if (!contended) {
            return 0;
        }
        account.balance -= tokens;
        return tokens;
    }

    /// Gives back what was taken off for tokens that were not computed after all.
    void refund(TenantAccount account, int tokens) {
        credit(account, tokens);
    }

    /// Gives everybody the allowances of some rounds.
    ///
    /// @param rounds as many as the first of those that wait needs for its turn
    void nextRounds(long rounds) {
        accounts.values().removeIf(account -> {
            credit(account, rounds * account.roundTokens());
            return account.live == 0 && account.balance == 0;
        });
    }

    private static void credit(TenantAccount account, long tokens) {
        account.balance = Math.min(account.balance + tokens, account.waiting > 0 ? account.roundTokens() : 0);
    }

    int size() {
        return accounts.size();
    }

    void checkInvariants() {
        int waiting = 0;
        for (TenantAccount account : accounts.values()) {
            waiting += account.waiting > 0 ? 1 : 0;
            boolean idle = account.live == 0 && account.balance == 0;
            if (account.waiting < 0 || account.waiting > account.live || account.balance > account.roundTokens() || idle) {
                throw new IllegalStateException("books of " + account);
            }
        }
        if (waiting != waitingTenants) {
            throw new IllegalStateException(waitingTenants + " tenants counted as waiting, " + waiting + " do");
        }
    }
}
