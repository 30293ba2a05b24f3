package dev.sidewinder.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import picocli.CommandLine.Option;

/// Options that every measurement has.
final class CommonOptions {

    @Option(names = "--repeats", paramLabel = "N", defaultValue = "5",
            description = "Quiet repeats of each test (default: ${DEFAULT-VALUE}).")
    int repeats;

    @Option(names = "--wait", paramLabel = "SECONDS", defaultValue = "60",
            description = "Longest wait for a quiet machine before a repeat (default: ${DEFAULT-VALUE}).")
    int waitSeconds;

    @Option(names = "--no-save", description = "Only print, write no CSV.")
    boolean noSave;

    private final Narrator narrator = Narrator.detect();

    /// Says what is going on.
    Narrator narrator() {
        return narrator;
    }

    Measurement.Plan plan() {
        return new Measurement.Plan(repeats, Duration.ofSeconds(waitSeconds), narrator);
    }

    /// The folder of the repository, as the launcher tells it.
    static Path repository() {
        return Path.of(System.getProperty("sidewinder.root", ".")).toAbsolutePath().normalize();
    }

    /// Prints the report and, unless told otherwise, appends it to the file of this machine.
    void publish(Report report) throws IOException {
        narrator.close();
        report.print(System.out);
        if (!noSave) {
            Path file = report.save(repository(), Machine.detect(repository()));
            System.out.println("  added to " + repository().relativize(file));
        }
    }
}
