package dev.sidewinder.server.api;

import java.time.Duration;
import java.util.OptionalLong;
import java.util.random.RandomGenerator;

/// Advice on trying again. SDKs retry 408, 409, 429 and 5xx by themselves and obey `x-should-retry`, so every error
/// carries an answer.
///
/// @param shouldRetry whether the same request may succeed later
/// @param after       how long to wait first; null when there is nothing to wait for
/// @param jittered    whether the wait is spread by [#JITTER], so that clients refused together do not return together
public record Retry(boolean shouldRetry, Duration after, boolean jittered) {

    /// The same request would fail again.
    public static final Retry NEVER = new Retry(false, null, false);
    /// Worth another try, at once.
    public static final Retry NOW = new Retry(true, null, false);

    /// The share by which a jittered wait grows or shrinks at most.
    public static final double JITTER = 0.2;

    private static final Duration SHORTEST = Duration.ofSeconds(1);
    private static final Duration LONGEST = Duration.ofSeconds(30);

    /// After a fixed time.
    public static Retry after(Duration wait) {
        return new Retry(true, wait, false);
    }

    /// After the time a queue needs to drain, jittered: 1 s to 30 s.
    public static Retry afterDraining(Duration estimate) {
        return new Retry(true, bounded(estimate), true);
    }

    private static Duration bounded(Duration wait) {
        if (wait.compareTo(SHORTEST) < 0) {
            return SHORTEST;
        }
        return wait.compareTo(LONGEST) > 0 ? LONGEST : wait;
    }

    /// The wait in milliseconds, jitter included.
    public OptionalLong afterMillis(RandomGenerator random) {
        if (after == null) {
            return OptionalLong.empty();
        }
        if (!jittered) {
            return OptionalLong.of(after.toMillis());
        }
        double factor = 1 + JITTER * (2 * random.nextDouble() - 1);
        return OptionalLong.of(bounded(Duration.ofMillis(Math.round(after.toMillis() * factor))).toMillis());
    }
}
