package dev.sidewinder.cuda.kernel;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/// For which products cuBLAS was measured to be quicker than our own kernel, by device. Recorded measurements, a file of
/// this repository; nothing is measured at start-up. What was not measured is ours.
///
/// @param measurements as recorded
public record BlasChoices(List<Measurement> measurements) {

    private static final String FILE = "blas-choices.csv";
    public static final String HEADER = "device,first_rows,last_rows,columns,inner,own_micros,cublas_micros,driver,commit";
    private static final int COLUMNS = 9;

    /// One shape on one device.
    ///
    /// @param device the driver's name of it
    /// @param firstRows with `lastRows` the range of rows (tokens) that the measurement stands for, both included
    /// @param columns of the result: rows of the weight
    /// @param inner summed over
    /// @param ownMicros median of our kernel, cold cache
    /// @param commit of our kernel
    public record Measurement(String device, int firstRows, int lastRows, int columns, int inner, double ownMicros,
            double cublasMicros, String driver, String commit) {

        public Measurement {
            if (firstRows < 1 || lastRows < firstRows || columns < 1 || inner < 1) {
                throw new IllegalArgumentException("a measurement of rows %d to %d, columns %d, inner %d"
                        .formatted(firstRows, lastRows, columns, inner));
            }
            if (!(ownMicros > 0) || !(cublasMicros > 0)) {
                throw new IllegalArgumentException("a measurement of %s and %s microseconds; both are above 0"
                        .formatted(ownMicros, cublasMicros));
            }
        }

        private boolean isOf(String device, int rows, int columns, int inner) {
            return this.device.equals(device) && rows >= firstRows && rows <= lastRows && this.columns == columns
                    && this.inner == inner;
        }

        private boolean overlaps(Measurement other) {
            return device.equals(other.device) && columns == other.columns && inner == other.inner
                    && firstRows <= other.lastRows && other.firstRows <= lastRows;
        }
    }

    public BlasChoices {
        measurements = List.copyOf(measurements);
        for (int i = 0; i < measurements.size(); i++) {
            Measurement later = measurements.get(i);
            for (Measurement earlier : measurements.subList(0, i)) {
                if (later.overlaps(earlier)) {
                    throw new IllegalArgumentException("two measurements speak of the same product: " + earlier + " and " + later);
                }
            }
        }
    }

    /// The recorded choices of this build.
    public static BlasChoices recorded() {
        try (InputStream file = BlasChoices.class.getResourceAsStream(FILE)) {
            if (file == null) {
                throw new IllegalStateException(FILE + " is missing from this build");
            }
            return parse(new String(file.readAllBytes(), StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new UncheckedIOException(FILE + " cannot be read", e);
        }
    }

    /// Reads the file: a header, then one measurement a line. Lines that begin with `#` are comments.
    public static BlasChoices parse(String text) {
        List<String> lines = text.lines().filter(line -> !line.isBlank() && !line.startsWith("#")).toList();
        if (lines.isEmpty() || !lines.getFirst().equals(HEADER)) {
            throw new IllegalArgumentException("the table of cuBLAS choices begins with \""
                    + (lines.isEmpty() ? "" : lines.getFirst()) + "\"; expected \"" + HEADER + "\"");
        }
        return new BlasChoices(lines.subList(1, lines.size()).stream().map(BlasChoices::measurement).toList());
    }

    private static Measurement measurement(String line) {
        String[] cells = line.split(",", -1);
        if (cells.length != COLUMNS) {
            throw new IllegalArgumentException("the table of cuBLAS choices has a line of " + cells.length + " cells, not "
                    + COLUMNS + ": " + line);
        }
        try {
            return new Measurement(cells[0], Integer.parseInt(cells[1]), Integer.parseInt(cells[2]),
                    Integer.parseInt(cells[3]), Integer.parseInt(cells[4]), Double.parseDouble(cells[5]),
                    Double.parseDouble(cells[6]), cells[7], cells[8]);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("the table of cuBLAS choices has a line that cannot be read (" + e.getMessage()
                    + "): " + line, e);
        }
    }

    /// How many measurements of a device cuBLAS has won.
    long preferred(String device) {
        return measurements.stream().filter(each -> each.device().equals(device) && each.cublasMicros() < each.ownMicros()).count();
    }

    /// Whether cuBLAS was quicker for a product of this shape on this device.
    public boolean prefersBlas(String device, int rows, int columns, int inner) {
        for (Measurement measurement : measurements) {
            if (measurement.isOf(device, rows, columns, inner)) {
                return measurement.cublasMicros < measurement.ownMicros;
            }
        }
        return false;
    }
}
