package dev.sidewinder.server.metrics;

import java.util.concurrent.atomic.LongAdder;

/// A number that only grows. Any thread.
public final class Counter {

    private final LongAdder value = new LongAdder();

    public void increment() {
        value.increment();
    }

    public void add(long amount) {
        if (amount < 0) {
            throw new IllegalArgumentException("a counter only grows, got " + amount);
        }
        value.add(amount);
    }

    public long value() {
        return value.sum();
    }
}
