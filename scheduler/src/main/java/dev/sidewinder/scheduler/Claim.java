package dev.sidewinder.scheduler;

import java.util.Objects;

/// What a sequence has to say about its turn.
///
/// @param priority lower goes first, -1000 to 1000
/// @param tenant   whose share it uses; sequences of one tenant and priority go in order of arrival
/// @param weight   how large that share is in proportion to those of others, 1 to 100; of a tenant's claims the latest counts
public record Claim(int priority, String tenant, int weight) {

    public static final int FIRST = -1000;
    public static final int LAST = 1000;
    public static final int MOST_WEIGHT = 100;

    /// As urgent as any other, of nobody in particular.
    public static final Claim ORDINARY = new Claim(0, "");

    /// Of a tenant with the same share as others.
    public Claim(int priority, String tenant) {
        this(priority, tenant, 1);
    }

    public Claim {
        Objects.requireNonNull(tenant, "a sequence without a tenant");
        if (priority < FIRST || priority > LAST) {
            throw new IllegalArgumentException("priority " + priority + "; it must be between " + FIRST + " and " + LAST);
        }
        if (weight < 1 || weight > MOST_WEIGHT) {
            throw new IllegalArgumentException("weight " + weight + "; it must be between 1 and " + MOST_WEIGHT);
        }
    }
}
