package dev.sidewinder.cuda.kernel;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;

/// What the compiler said of each kernel when this build was made: registers, spills, memory.
///
/// @param rows one per kernel and architecture
public record KernelReport(List<Row> rows) {

    /// Beside the fat binaries in the jar.
    static final String FILE = "kernel-resources.csv";
    static final String HEADER =
            "family,kernel,architecture,registers,spill_store_bytes,spill_load_bytes,stack_bytes,static_shared_bytes";
    private static final int COLUMNS = 8;

    /// @param architecture such as `sm_90a`
    /// @param registers of one thread
    /// @param stackBytes local memory of a thread: spills, and arrays with run-time indices
    public record Row(String family, String kernel, String architecture, int registers, int spillStoreBytes,
            int spillLoadBytes, int stackBytes, int staticSharedBytes) {

        public boolean spills() {
            return spillStoreBytes > 0 || spillLoadBytes > 0;
        }
    }

    public KernelReport {
        rows = List.copyOf(rows);
    }

    /// The report of this build; empty when it has no CUDA kernels.
    public static Optional<KernelReport> packaged() {
        try (InputStream file = KernelReport.class.getResourceAsStream("images/" + FILE)) {
            return file == null
                    ? Optional.empty()
                    : Optional.of(parse(new String(file.readAllBytes(), StandardCharsets.UTF_8)));
        } catch (IOException e) {
            throw new UncheckedIOException("the kernel report cannot be read", e);
        }
    }

    static KernelReport parse(String text) {
        List<String> lines = text.lines().toList();
        if (lines.isEmpty() || !lines.getFirst().equals(HEADER)) {
            throw new IllegalArgumentException("the kernel report begins with \"" + (lines.isEmpty() ? "" : lines.getFirst())
                    + "\"; expected \"" + HEADER + "\"");
        }
        return new KernelReport(lines.subList(1, lines.size()).stream().map(KernelReport::row).toList());
    }

    private static Row row(String line) {
        String[] cells = line.split(",", -1);
        if (cells.length != COLUMNS) {
            throw new IllegalArgumentException("the kernel report has a line of " + cells.length + " cells, not " + COLUMNS
                    + ": " + line);
        }
        return new Row(cells[0], cells[1], cells[2], Integer.parseInt(cells[3]), Integer.parseInt(cells[4]),
                Integer.parseInt(cells[5]), Integer.parseInt(cells[6]), Integer.parseInt(cells[7]));
    }
}
