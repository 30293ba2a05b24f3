package dev.sidewinder.server.rest;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/// What streams may hold back for slow readers, one by one and together. Safe for use by many threads.
final class StreamBudget {

    private final int streamBytes;
    private final long allBytes;
    private final Duration stall;
    private final AtomicLong pending = new AtomicLong();
    private final AtomicInteger waiting = new AtomicInteger();

    /// @param streamBytes bytes of one stream that its socket has not taken
    /// @param allBytes    the same over all streams
    /// @param stall       how long a reader may take nothing
    StreamBudget(int streamBytes, long allBytes, Duration stall) {
        this.streamBytes = streamBytes;
        this.allBytes = allBytes;
        this.stall = stall;
    }

    Duration stall() {
        return stall;
    }

    /// Whether a stream that has `own` bytes pending may write `more`. A stream with nothing pending always may.
    boolean hasRoom(int own, int more) {
        return own == 0 || own + more <= streamBytes && pending.get() + more <= allBytes;
    }

    void written(int bytes) {
        pending.addAndGet(bytes);
    }

    void taken(int bytes) {
        pending.addAndGet(-bytes);
    }

    void waits(boolean begins) {
        waiting.addAndGet(begins ? 1 : -1);
    }

    long pendingBytes() {
        return pending.get();
    }

    int waitingStreams() {
        return waiting.get();
    }
}
