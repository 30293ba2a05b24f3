package dev.sidewinder.server.cli;

import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import java.util.function.LongSupplier;

/// How far a long piece of work is: one line that changes in place on a terminal, a line now and then elsewhere.
/// For one thread.
public final class Progress implements AutoCloseable {

    private static final long TERMINAL_INTERVAL_NANOS = Duration.ofMillis(100).toNanos();
    private static final long PLAIN_INTERVAL_NANOS = Duration.ofSeconds(10).toNanos();
    private static final String ERASE_LINE = "\r\033[K";

    private final String task;
    private final PrintStream output;
    private final boolean terminal;
    private final LongSupplier clock;
    private final long began;
    private long shown;
    private String last = "";

    /// @param task what is being done, for example `loading nano-30b`
    public static Progress of(String task) {
        return new Progress(task, System.err, Terminal.detect().interactive(), System::nanoTime);
    }

    Progress(String task, PrintStream output, boolean terminal, LongSupplier clock) {
        this.task = task;
        this.output = output;
        this.terminal = terminal;
        this.clock = clock;
        this.began = clock.getAsLong();
        this.shown = began - (terminal ? TERMINAL_INTERVAL_NANOS : 0);
    }

    /// Takes note of the bytes done. Cheap when it is not yet time to show something.
    ///
    /// @param total 0 when it is not known
    public void bytes(long done, long total) {
        if (isTime()) {
            show(total > 0 ? 100 * done / total + " %, " + size(done) + " of " + size(total) : size(done));
        }
    }

    /// Takes note of pieces of work done.
    ///
    /// @param pieces what they are, for example `cases`
    /// @param detail what else to tell
    public void pieces(long done, long total, String pieces, String detail) {
        if (isTime()) {
            show(100 * done / total + " %, " + done + " of " + total + " " + pieces + ", " + detail);
        }
    }

    private boolean isTime() {
        return clock.getAsLong() - shown >= (terminal ? TERMINAL_INTERVAL_NANOS : PLAIN_INTERVAL_NANOS);
    }

    private void show(String amount) {
        shown = clock.getAsLong();
        last = task + ": " + amount;
        output.print(terminal ? ERASE_LINE + last : last + System.lineSeparator());
        output.flush();
    }

    /// Ends the work: takes the changing line away and says what was done, unless it was over at once.
    ///
    /// @param result what came of it, for example `1.24 GB`
    public void finish(String result) {
        long millis = (clock.getAsLong() - began) / 1_000_000;
        close();
        output.println(String.format(Locale.ROOT, "%s: %s in %.1f s", task, result, millis / 1000.0));
        output.flush();
    }

    /// Takes the changing line away. After this nothing more is shown by itself.
    @Override
    public void close() {
        if (terminal && !last.isEmpty()) {
            output.print(ERASE_LINE);
            output.flush();
        }
        last = "";
    }

    /// Bytes in the unit that reads best, decimal as disks and links are.
    static String size(long bytes) {
        if (bytes < 1000) {
            return bytes + " B";
        }
        double value = bytes;
        int unit = -1;
        while (value >= 999.5 && unit < 3) {
            value /= 1000;
            unit++;
        }
        return String.format(Locale.ROOT, value >= 99.95 ? "%.0f %sB" : value >= 9.995 ? "%.1f %sB" : "%.2f %sB", value,
                "kMGT".charAt(unit));
    }
}
