package dev.sidewinder.engine;

import java.time.Duration;

/// A running request: its events, and the way to stop it. One consumer thread; `cancel` from any thread.
public interface Generation extends AutoCloseable {

    /// Waits for the next event.
    ///
    /// @return null when nothing came within `timeout`
    /// @throws IllegalStateException after the last event (all choices finished, or failed)
    GenerationEvent next(Duration timeout) throws InterruptedException;

    /// The next event if one is there already, else null.
    GenerationEvent poll();

    /// Ends the request at the next step; memory returns within two steps. Idempotent.
    void cancel();

    /// Ends one choice (a stop string was found), the others go on. Idempotent.
    void cancel(int choice);

    /// When things happened.
    GenerationTimes times();

    /// Cancels what still runs.
    @Override
    void close();
}
