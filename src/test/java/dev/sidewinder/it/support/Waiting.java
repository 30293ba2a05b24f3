package dev.sidewinder.it.support;

import java.time.Duration;
import java.util.concurrent.Callable;

/// Waits for what happens in another process.
public final class Waiting {

    private Waiting() {}

    /// Looks again and again until `condition` holds.
    public static void until(String what, Duration limit, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + limit.toNanos();
        while (!condition.call()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("waited " + limit + " for " + what);
            }
            pause();
        }
    }

    static void pause() {
        try {
            Thread.sleep(10);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }
}
