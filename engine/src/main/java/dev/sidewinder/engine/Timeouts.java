package dev.sidewinder.engine;

import java.time.Duration;

/// How long a request may take, counted from its submission, and how long its reader may stand still.
///
/// @param queueWait   until it is first in a batch; then `QUEUE_TIMEOUT`
/// @param firstToken  until its first token; then `DEADLINE_EXCEEDED`
/// @param total       until its end; then `DEADLINE_EXCEEDED`
/// @param readerStall without an event taken while the reader is behind; then `SLOW_READER`
public record Timeouts(Duration queueWait, Duration firstToken, Duration total, Duration readerStall) {

    public static final Timeouts DEFAULT = new Timeouts(Duration.ofSeconds(60), Duration.ofSeconds(300),
            Duration.ofSeconds(3600), Duration.ofSeconds(30));

    public Timeouts {
        requirePositive("queueWait", queueWait);
        requirePositive("firstToken", firstToken);
        requirePositive("total", total);
        requirePositive("readerStall", readerStall);
    }

    private static void requirePositive(String name, Duration duration) {
        if (duration.isNegative() || duration.isZero()) {
            throw new IllegalArgumentException(name + " must be positive, got " + duration);
        }
    }
}
