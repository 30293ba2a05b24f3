package dev.sidewinder.server.metrics;

import java.time.Duration;
import java.util.function.LongSupplier;

/// How fast requests leave the engine while it works, from the times of the latest ones: tells a refused client when to come back.
/// Safe for use by many threads.
final class DrainRate {

    private static final int REMEMBERED = 64;
    /// When nothing has ended yet there is nothing to go by.
    private static final Duration UNKNOWN = Duration.ofSeconds(2);

    private final LongSupplier clock;
    private final long[] ends = new long[REMEMBERED];
    private long count;

    /// @param clock nanoseconds of work from any origin: it stands still where the engine rests
    DrainRate(LongSupplier clock) {
        this.clock = clock;
    }

    synchronized void ended() {
        ends[(int) (count++ % REMEMBERED)] = clock.getAsLong();
    }

    /// The time in which `waiting` requests leave, at the rate of the latest.
    synchronized Duration estimate(int waiting) {
        if (count == 0) {
            return UNKNOWN;
        }
        int known = (int) Math.min(count, REMEMBERED);
        long oldest = ends[(int) ((count - known) % REMEMBERED)];
        long span = Math.max(1, clock.getAsLong() - oldest);
        return Duration.ofNanos((long) Math.min((double) span / known * waiting, Long.MAX_VALUE / 2.0));
    }
}
