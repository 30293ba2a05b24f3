package dev.sidewinder.server.ops;

import dev.sidewinder.engine.LoadProgress;
import io.quarkus.logging.Log;
import java.util.Locale;

/// Shows how far a load is: one line that changes on a terminal, a line every few seconds elsewhere. One thread.
final class LoadingProgress implements LoadProgress, AutoCloseable {

    private static final long TERMINAL_NANOS = 100_000_000L;
    private static final long LOG_NANOS = 5_000_000_000L;
    private static final String CLEAR_LINE = "\r\u001b[K";

    private final String what;
    private final boolean terminal = System.console() != null && System.console().isTerminal();
    private final long started = System.nanoTime();
    private long shown = started;
    private boolean lineOpen;

    LoadingProgress(String what) {
        this.what = what;
    }

    @Override
    public void prepared(long done, long total) {
        long now = System.nanoTime();
        if (now - shown < (terminal ? TERMINAL_NANOS : LOG_NANOS)) {
            return;
        }
        shown = now;
        String amount = total > 0
                ? String.format(Locale.ROOT, "%d of %d MiB", done >> 20, total >> 20)
                : String.format(Locale.ROOT, "%d MiB", done >> 20);
        String line = String.format(Locale.ROOT, "loading %s: %s, %.1f s", what, amount, (now - started) / 1e9);
        if (terminal) {
            System.err.print(CLEAR_LINE + line);
            System.err.flush();
            lineOpen = true;
        } else {
            Log.info(line);
        }
    }

    @Override
    public void close() {
        if (lineOpen) {
            System.err.print(CLEAR_LINE);
            System.err.flush();
            lineOpen = false;
        }
    }
}
