package dev.sidewinder.bench.gpu;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.function.Supplier;

/// Takes rows as they are measured: each goes to a CSV file at once, so that a run which is cut short has lost nothing, and
/// into a table for the end.
public final class GpuReport implements Consumer<GpuRow>, AutoCloseable {

    static final String HEADER = "time,commit,driver,device,seed,clocks,kind,name,shape,median_us,p95_us,bytes,flops,floor_us,"
            + "fraction,note";

    private final GpuRun run;
    private final Path file;
    private final Supplier<String> clocks;
    private final PrintStream progress;
    private final BufferedWriter csv;
    private final List<GpuRow> rows = new ArrayList<>();

    /// Appends to a file, or begins it.
    ///
    /// @param clocks   the device's clocks now, in few words; may be empty
    /// @param progress is told each row
    public GpuReport(GpuRun run, Path file, Supplier<String> clocks, PrintStream progress) throws IOException {
        this.run = run;
        this.file = file;
        this.clocks = clocks;
        this.progress = progress;
        Files.createDirectories(file.toAbsolutePath().getParent());
        boolean begins = !Files.exists(file) || Files.size(file) == 0;
        csv = Files.newBufferedWriter(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        if (begins) {
            write(HEADER);
        }
    }

    public Path file() {
        return file;
    }

    public List<GpuRow> rows() {
        return List.copyOf(rows);
    }

    @Override
    public void accept(GpuRow row) {
        rows.add(row);
        write(String.join(",", Instant.now().truncatedTo(ChronoUnit.SECONDS).toString(), quoted(run.commit()),
                quoted(run.driver()), quoted(run.device()), String.valueOf(run.seed()), quoted(clocks.get()),
                row.kind().name().toLowerCase(Locale.ROOT), quoted(row.name()), quoted(row.shape()),
                number("%.3f", row.medianMicros()), number("%.3f", row.p95Micros()), number("%.0f", row.bytes()),
                number("%.0f", row.flops()), number("%.3f", row.floorMicros()),
                Double.isNaN(row.fraction()) ? "" : number("%.4f", row.fraction()), quoted(row.note())));
        progress.println("    " + GpuTable.line(row));
    }

    private void write(String line) {
        try {
            csv.write(line);
            csv.newLine();
            csv.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be written", e);
        }
    }

    /// Prints all rows in short, in the order in which they came.
    public void print(PrintStream output) {
        GpuTable.lines(rows).forEach(output::println);
    }

    private static String number(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }

    static String quoted(String text) {
        return text.matches("[^\",\\r\\n]*") ? text : '"' + text.replace("\"", "\"\"").replaceAll("\\R", " ") + '"';
    }

    @Override
    public void close() {
        try {
            csv.close();
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be closed", e);
        }
    }
}
