package dev.sidewinder.server.ops;

import dev.sidewinder.server.settings.ServerConfig;
import java.time.Duration;
import java.util.function.IntSupplier;

/// Ends the service in good order: what was accepted may finish within the limit, the rest is told.
final class Drain {

    private static final Duration LAST_WORDS = Duration.ofSeconds(5);
    private static final long POLL_MILLIS = 10;

    private final ServerConfig.Drain config;
    private final Serving serving;
    private final IntSupplier inFlight;

    /// @param inFlight requests to the model whose answers are not complete
    Drain(ServerConfig.Drain config, Serving serving, IntSupplier inFlight) {
        this.config = config;
        this.serving = serving;
        this.inFlight = inFlight;
    }

    /// Runs to the end of the drain. Readiness is down already.
    void run() throws InterruptedException {
        long limit = System.nanoTime() + config.limit().toNanos();
        Thread.sleep(config.linger());
        serving.refuse();
        while (inFlight.getAsInt() > 0 && System.nanoTime() < limit && !serving.hasFailed()) {
            Thread.sleep(POLL_MILLIS);
        }
        giveUp();
    }

    /// Stops the engine: requests that still run get an error, and a moment to deliver it.
    void giveUp() throws InterruptedException {
        serving.refuse();
        serving.stop();
        long deadline = System.nanoTime() + LAST_WORDS.toNanos();
        while (inFlight.getAsInt() > 0 && System.nanoTime() < deadline) {
            Thread.sleep(POLL_MILLIS);
        }
    }
}
