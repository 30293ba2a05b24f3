package dev.sidewinder.engine;

import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;

/// What happened in one trace or several, so that a test can say that there was something to find.
public record TraceTotals(Map<Count, Long> counts) {

    /// What is counted.
    public enum Count {
        TRACES,
        /// of all books, each after a step or a deed between two steps
        CHECKS,
        REQUESTS,
        /// requests that were not let in
        REFUSED,
        /// requests that ended because something took too long
        LATE,
        /// requests with NaN
        NUMERIC,
        CANCELLED,
        RETRIES,
        BURSTS,
        /// sequences that went to the host area
        SUSPENDED,
        /// sequences that were dropped and computed again
        RECOMPUTED,
        /// of the prefix cache, in part or whole
        RESETS,
        /// prompt tokens that were not computed
        REUSED,
        /// requests that go on from the answer of an earlier one, and how many of them found a state in the midst of that answer
        FOLLOW_UPS,
        ANSWERS_REUSED,
        /// tokens computed before anybody asked
        PREPARED,
        /// requests of sessions
        TURNS,
        FORKS,
        PAUSES,
        /// of the device
        FAULTS,
        DRAINS,
        /// of the engine, with requests in it
        CLOSES
    }

    static final TraceTotals NONE = new TraceTotals(Map.of());

    public TraceTotals {
        counts = Map.copyOf(counts);
    }

    public long of(Count count) {
        return counts.getOrDefault(count, 0L);
    }

    public TraceTotals plus(TraceTotals more) {
        Map<Count, Long> sums = new EnumMap<>(Count.class);
        sums.putAll(counts);
        more.counts.forEach((count, value) -> sums.merge(count, value, Long::sum));
        return new TraceTotals(sums);
    }

    @Override
    public String toString() {
        var text = new StringBuilder();
        new EnumMap<>(counts.isEmpty() ? Map.of(Count.TRACES, 0L) : counts)
                .forEach((count, value) -> text.append(text.isEmpty() ? "" : ", ").append(value).append(' ').append(count.name().toLowerCase(Locale.ROOT)));
        return text.toString();
    }
}
