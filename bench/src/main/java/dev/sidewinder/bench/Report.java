package dev.sidewinder.bench;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// The results of one run: a table for the person who waits, and lines of a CSV file for those who compare later.
final class Report {

    private static final String HEADER = "time,commit,jdk,processors,subject,test,unit,median,min,max,quiet_repeats,"
            + "repeats,note";

    /// @param note a figure that puts the result in proportion, for example a share of the memory bandwidth; may be empty
    private record Row(Measurement measurement, String note) {}

    private final String topic;
    private final String subject;
    private final List<Row> rows = new ArrayList<>();

    /// @param topic   what kind of benchmark; names the file
    /// @param subject what was measured: model, arithmetic, …
    Report(String topic, String subject) {
        this.topic = topic;
        this.subject = subject;
    }

    void add(Measurement measurement, String note) {
        rows.add(new Row(measurement, note));
    }

    void print(PrintStream output) {
        output.println(subject);
        output.printf("  %-28s %12s   %-23s %-8s %s%n", "test", "median", "range", "repeats", "");
        for (Row row : rows) {
            Measurement m = row.measurement();
            output.printf(Locale.ROOT, "  %-28s %12s   %-23s %-8s %s%n", m.name(), number(m.median()),
                    number(m.min()) + " – " + number(m.max()), m.quietRepeats() + "/" + m.repeats(),
                    m.unit() + (row.note().isEmpty() ? "" : ", " + row.note()) + (m.usable() ? "" : "  NOT QUIET"));
        }
    }

    /// Appends to `bench/results/<machine>/<topic>.csv`.
    ///
    /// @return the file
    Path save(Path repository, Machine machine) throws IOException {
        Path file = repository.resolve(Path.of("bench", "results", machine.slug(), topic + ".csv"));
        Files.createDirectories(file.getParent());
        var lines = new ArrayList<String>();
        if (!Files.exists(file)) {
            lines.add(HEADER);
        }
        String time = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
        for (Row row : rows) {
            Measurement m = row.measurement();
            lines.add(String.join(",", time, machine.commit(), machine.jdk(), String.valueOf(machine.processors()),
                    quoted(subject), quoted(m.name()), quoted(m.unit()), exact(m.median()), exact(m.min()),
                    exact(m.max()), String.valueOf(m.quietRepeats()), String.valueOf(m.repeats()), quoted(row.note())));
        }
        Files.write(file, lines, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        return file;
    }

    private static String quoted(String text) {
        return text.matches("[^\",\\n]*") ? text : '"' + text.replace("\"", "\"\"") + '"';
    }

    private static String exact(double value) {
        return String.format(Locale.ROOT, "%.5g", value);
    }

    /// Four significant digits, without an exponent.
    private static String number(double value) {
        if (Math.abs(value) >= 1000) {
            return String.format(Locale.ROOT, "%,.0f", value);
        }
        return String.format(Locale.ROOT, Math.abs(value) >= 100 ? "%.1f" : "%.2f", value);
    }
}
