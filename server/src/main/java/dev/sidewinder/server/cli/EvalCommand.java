package dev.sidewinder.server.cli;

import dev.sidewinder.server.eval.EvalException;
import dev.sidewinder.server.eval.EvalRun;
import dev.sidewinder.server.eval.ReportJson;
import dev.sidewinder.server.eval.ReportText;
import dev.sidewinder.server.eval.TestSet;
import dev.sidewinder.server.eval.TestSetReader;
import dev.sidewinder.server.settings.Installation;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// `./sidewinder eval`: how often a model answers right, and whether another one, or the same in another number format,
/// is as good.
@Command(name = "eval", mixinStandardHelpOptions = true, description = {
    "Asks a model every case of a test set through the real server, greedily, and tells by task how often it is right.",
    "With --against it asks a second model too, with --against-arithmetic the same one in another arithmetic, and sets"
            + " both side by side. Interval and p say what chance alone could do.",
    "Ends with status 0 when every case was asked, however many answers are wrong."})
final class EvalCommand implements Callable<Integer> {

    /// Cases that the server can work on together; more gain little on a processor.
    private static final String CONCURRENCY = "8";

    @Option(names = "--model", paramLabel = "DIR", description = "Checkpoint folder (default: models/tiny).")
    String model;

    @Option(names = "--arithmetic", paramLabel = "f32|bf16|fp8",
            description = "Arithmetic of the server that is started (default: " + EvalTarget.DEFAULT_ARITHMETIC + ").")
    String arithmetic;

    @Option(names = "--url", paramLabel = "URL", description = "Ask a server that runs already, and start none.")
    URI url;

    @Option(names = "--against", paramLabel = "DIR", description = "A second model to compare with.")
    String against;

    @Option(names = "--against-arithmetic", paramLabel = "f32|bf16|fp8",
            description = "Arithmetic of the second model (default: that of the first).")
    String againstArithmetic;

    @Option(names = "--set", paramLabel = "FILE", description = "Test set, a .jsonl or .jsonl.gz file or a folder with "
            + "test*.jsonl[.gz]; may be given again (default: models/tiny/eval).")
    List<Path> sets = List.of();

    @Option(names = "--tasks", paramLabel = "NAMES", split = ",", description = "Only these tasks: copy,reverse")
    Set<String> tasks = new LinkedHashSet<>();

    @Option(names = "--limit", paramLabel = "N", description = "Only the first N cases of each task.")
    Integer limit;

    @Option(names = "--concurrency", paramLabel = "N", defaultValue = CONCURRENCY,
            description = "Cases in flight at once (default: ${DEFAULT-VALUE}).")
    int concurrency;

    @Option(names = "--show-wrong", paramLabel = "N", defaultValue = "0",
            description = "Show the first N wrong answers of each task.")
    int showWrong;

    @Option(names = "--json", paramLabel = "FILE", description = "Also write settings, results and every answer as JSON.")
    Path json;

    @Override
    public Integer call() throws Exception {
        checkNumbers();
        List<EvalTarget> targets = EvalTarget.of(this, Installation.here());
        List<Path> files = sets.isEmpty() ? List.of(Installation.here().tinyModel().resolve("eval")) : sets;
        TestSet set = TestSetReader.read(files).only(tasks, limit == null ? Integer.MAX_VALUE : limit);
        requireWritable();
        var settings = new ReportJson.Settings(tasks, limit == null ? 0 : limit, concurrency, Instant.now());
        List<EvalRun> runs = new ArrayList<>();
        for (EvalTarget target : targets) {
            runs.add(run(target, set));
        }
        System.out.print(runs.size() == 1 ? ReportText.of(runs.getFirst()) : ReportText.of(runs.get(0), runs.get(1)));
        if (showWrong > 0) {
            runs.forEach(run -> System.out.print(ReportText.wrong(run, showWrong)));
        }
        if (json != null) {
            Files.writeString(json, ReportJson.of(settings, set, runs));
        }
        return 0;
    }

    private EvalRun run(EvalTarget target, TestSet set) throws IOException, InterruptedException {
        return switch (target) {
            case EvalTarget.Running running -> ask(running.label(), "", running.address(), set);
            case EvalTarget.Folder folder -> {
                try (LocalServer server = LocalServer.start(folder.flags(concurrency), "a server for " + folder.label(),
                        System.err)) {
                    yield ask(folder.label(), folder.arithmetic(), server.address(), set);
                }
            }
        };
    }

    private EvalRun ask(String label, String arithmetic, URI server, TestSet set) throws InterruptedException {
        int total = set.cases().size();
        try (Progress progress = Progress.of("evaluating " + label)) {
            EvalRun run = EvalRun.of(label, arithmetic, server, set, concurrency,
                    (done, right) -> progress.pieces(done, total, "cases", right + " right"));
            progress.finish(total + " cases");
            return run;
        }
    }

    private void checkNumbers() {
        if (concurrency < 1 || concurrency > 256) {
            throw CommandException.wrongUsage("--concurrency " + concurrency + " is not between 1 and 256");
        }
        if (limit != null && limit < 1) {
            throw CommandException.wrongUsage("--limit " + limit + " is not positive");
        }
        if (showWrong < 0) {
            throw CommandException.wrongUsage("--show-wrong " + showWrong + " is negative");
        }
    }

    /// An hour's work should not end with a file that cannot be written.
    private void requireWritable() {
        if (json == null) {
            return;
        }
        try {
            Files.writeString(json, "");
        } catch (IOException e) {
            throw new EvalException("--json " + json + " cannot be written: " + e);
        }
    }
}
