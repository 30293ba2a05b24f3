package dev.sidewinder.bench;

import java.io.Console;
import java.io.PrintStream;

/// Says what a measurement is doing while somebody waits: one line that changes in place on a terminal, elsewhere a plain
/// line for each test and nothing between. Goes to the error stream, so that tables can be kept. For one thread.
final class Narrator implements AutoCloseable {

    private static final String ERASE_LINE = "\r\033[K";

    private final PrintStream output;
    private final boolean terminal;
    private String subject = "";
    private boolean lineOpen;

    Narrator(PrintStream output, boolean terminal) {
        this.output = output;
        this.terminal = terminal;
    }

    static Narrator detect() {
        Console console = System.console();
        return new Narrator(System.err, console != null && console.isTerminal());
    }

    /// Something else begins.
    ///
    /// @param what for example `loading synthetic:tiny`
    void begin(String what) {
        subject = what;
        if (terminal) {
            show(what + "…");
        } else {
            output.println(what + "…");
        }
    }

    /// What has begun is at this point; for terminals only.
    ///
    /// @param detail for example `repeat 2 of 5`
    void at(String detail) {
        if (terminal) {
            show(subject + ": " + detail);
        }
    }

    private void show(String line) {
        output.print(ERASE_LINE + line);
        output.flush();
        lineOpen = true;
    }

    /// Takes the changing line away, if there is one.
    @Override
    public void close() {
        if (lineOpen) {
            clear();
            lineOpen = false;
        }
    }

    /// Takes away whatever stands in the last line of a terminal.
    void clear() {
        if (terminal) {
            output.print(ERASE_LINE);
            output.flush();
        }
    }
}
