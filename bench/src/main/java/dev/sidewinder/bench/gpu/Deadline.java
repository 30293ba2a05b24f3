package dev.sidewinder.bench.gpu;

import java.time.Duration;
import java.util.function.LongSupplier;

/// When a run has to come to its end.
final class Deadline {

    private final LongSupplier nanoTime;
    private final long endNanos;

    /// @param limit    from now on; null: none
    /// @param nanoTime a clock that never goes back
    Deadline(Duration limit, LongSupplier nanoTime) {
        this.nanoTime = nanoTime;
        endNanos = limit == null ? Long.MAX_VALUE : nanoTime.getAsLong() + limit.toNanos();
    }

    boolean isPassed() {
        return endNanos != Long.MAX_VALUE && nanoTime.getAsLong() - endNanos >= 0;
    }

    /// Until the end; a very long time where there is none.
    Duration left() {
        return endNanos == Long.MAX_VALUE ? Duration.ofDays(365) : Duration.ofNanos(Math.max(0, endNanos - nanoTime.getAsLong()));
    }
}
