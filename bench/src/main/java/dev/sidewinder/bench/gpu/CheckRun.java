package dev.sidewinder.bench.gpu;

import dev.sidewinder.cuda.kernel.KernelCheck;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// Runs comparisons of kernels with their references and counts what came of them. One that fails is told in full and does
/// not keep the others from running.
final class CheckRun {

    static final String HEADER = "time,commit,driver,device,seed,family,check,result,seconds,message";

    /// Comparisons of one family.
    static final class Tally {
        private int passed;
        private int failed;
        private int notReached;
        private double seconds;

        int passed() {
            return passed;
        }

        int failed() {
            return failed;
        }

        int notReached() {
            return notReached;
        }
    }

    private final GpuRun run;
    private final Path file;
    private final PrintStream progress;
    private final Map<String, Tally> tallies = new LinkedHashMap<>();

    /// @param file     CSV that each result is appended to at once
    /// @param progress is told of each comparison
    CheckRun(GpuRun run, Path file, PrintStream progress) {
        this.run = run;
        this.file = file;
        this.progress = progress;
    }

    Map<String, Tally> tallies() {
        return tallies;
    }

    int failed() {
        return tallies.values().stream().mapToInt(Tally::failed).sum();
    }

    int notReached() {
        return tallies.values().stream().mapToInt(Tally::notReached).sum();
    }

    /// Runs them in their order until the time is over.
    void run(List<KernelCheck> checks, Session session, Deadline deadline) throws IOException {
        Files.createDirectories(file.toAbsolutePath().getParent());
        boolean begins = !Files.exists(file) || Files.size(file) == 0;
        try (BufferedWriter csv = Files.newBufferedWriter(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
            if (begins) {
                write(csv, HEADER);
            }
            for (int i = 0; i < checks.size(); i++) {
                KernelCheck check = checks.get(i);
                Tally tally = tallies.computeIfAbsent(check.family(), _ -> new Tally());
                if (deadline.isPassed()) {
                    tally.notReached++;
                } else {
                    run(check, session, tally, "[" + (i + 1) + "/" + checks.size() + "] ", csv);
                }
            }
        }
    }

    private void run(KernelCheck check, Session session, Tally tally, String count, BufferedWriter csv) throws IOException {
        long began = System.nanoTime();
        String message = "";
        try {
            check.run(session.kernels(), run.seed());
            tally.passed++;
        } catch (AssertionError | RuntimeException e) {
            tally.failed++;
            message = (e instanceof AssertionError ? "" : e.getClass().getSimpleName() + ": ") + e.getMessage();
            // it may have left memory behind, or the device may be lost
            session.reopen();
        }
        double seconds = (System.nanoTime() - began) / 1e9;
        tally.seconds += seconds;
        String result = message.isEmpty() ? "passed" : "FAILED";
        progress.printf(Locale.ROOT, "%s%s %s  %.1f s%n", count, result, check, seconds);
        if (!message.isEmpty()) {
            progress.println("    seed " + check.seed(run.seed()) + " of run " + run.seed() + ": " + message);
        }
        write(csv, String.join(",", Instant.now().truncatedTo(ChronoUnit.SECONDS).toString(), GpuReport.quoted(run.commit()),
                GpuReport.quoted(run.driver()), GpuReport.quoted(run.device()), String.valueOf(run.seed()), check.family(),
                GpuReport.quoted(check.name()), result, String.format(Locale.ROOT, "%.2f", seconds), GpuReport.quoted(message)));
    }

    private static void write(BufferedWriter csv, String line) throws IOException {
        csv.write(line);
        csv.newLine();
        csv.flush();
    }

    void print(PrintStream output) {
        output.printf("%-26s %7s %7s %12s %9s%n", "checked against the CPU", "passed", "failed", "not reached", "seconds");
        tallies.forEach((family, tally) -> output.printf(Locale.ROOT, "%-26s %7d %7d %12d %9.1f%n", family, tally.passed,
                tally.failed, tally.notReached, tally.seconds));
    }
}
