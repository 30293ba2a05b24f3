package dev.sidewinder.scheduler;

import java.util.Objects;

/// What a sequence has to say about its turn.
///
/// @param priority lower goes first, -1000 to 1000
/// @param tenant   whose share it uses; sequences of one tenant and priority go in order of arrival
public record Claim(int priority, String tenant) {

    public static final int FIRST = -1000;
    public static final int LAST = 1000;

    /// As urgent as any other, of nobody in particular.
    public static final Claim ORDINARY = new Claim(0, "");

    public Claim {
        Objects.requireNonNull(tenant, "a sequence without a tenant");
        if (priority < FIRST || priority > LAST) {
            throw new IllegalArgumentException("priority " + priority + "; it must be between " + FIRST + " and " + LAST);
        }
    }
}
