package dev.sidewinder.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// `bench sse`: how many events a second the server writes when the model costs nothing.
@Command(name = "sse", description = {"Measures streaming: the packaged server with a stub backend, many readers in another",
    "process. One event is one token of one reader. Server and readers share this machine."})
final class SseCommand implements Callable<Integer> {

    private static final int WARM_UP_SECONDS = 8;
    private static final int WINDOW_SECONDS = 4;
    /// Tokens that no reader comes to the end of.
    private static final int ENOUGH_TOKENS = 200_000;

    @Option(names = "--readers", paramLabel = "N", defaultValue = "64",
            description = "Streams at once (default: ${DEFAULT-VALUE}).")
    int readers;

    @Option(names = "--path", paramLabel = "PATH", defaultValue = "/v1/completions",
            description = "/v1/completions or /generate (default: ${DEFAULT-VALUE}).")
    String path;

    @Mixin
    CommonOptions common;

    @Override
    public Integer call() throws Exception {
        var report = new Report("sse", "server-sent events of " + path + ", " + readers + " readers, stub backend");
        common.narrator().begin("starting the server");
        try (ServerChild server = ServerChild.start("--model", "synthetic:demo", "--backend", "stub",
                "--max-num-seqs", String.valueOf(readers), "--cache-size", "8GiB")) {
            common.narrator().begin("warming up for " + WARM_UP_SECONDS + " s, then " + common.repeats + " windows of "
                    + WINDOW_SECONDS + " s");
            read(server, report);
        }
        common.publish(report);
        return 0;
    }

    private void read(ServerChild server, Report report) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC", "-cp", System.getProperty("java.class.path"), SseReaders.class.getName(),
                String.valueOf(server.port()), path, String.valueOf(readers), String.valueOf(WARM_UP_SECONDS),
                String.valueOf(WINDOW_SECONDS), String.valueOf(common.repeats))
                .redirectError(ProcessBuilder.Redirect.INHERIT).start();
        String prompt = path.equals("/generate") ? "\"token_ids\":[1,2,3]" : "\"prompt\":[1,2,3]";
        process.getOutputStream().write(("{" + prompt + ",\"max_tokens\":" + ENOUGH_TOKENS
                + ",\"ignore_eos\":true,\"temperature\":0,\"stream\":true}").getBytes(StandardCharsets.UTF_8));
        process.getOutputStream().close();
        var rates = new Measurement("events", "events/s");
        double bytesPerEvent = 0;
        double slowestShare = 1;
        try (var lines = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                List<Double> numbers = List.of(line.split(" ")).stream().map(Double::valueOf).toList();
                // server and readers are other processes of ours: what third parties do cannot be told apart here
                rates.add(numbers.get(0) / numbers.get(2), new QuietMachine.Disturbance(Double.NaN, true));
                bytesPerEvent = numbers.get(1) / numbers.get(0);
                slowestShare = Math.min(slowestShare, numbers.get(3) * readers / numbers.get(0));
                common.narrator().at(rates.repeats() + " of them done");
            }
        }
        if (process.waitFor() != 0 || rates.repeats() == 0) {
            throw new IOException("the readers failed");
        }
        report.add(rates, String.format(Locale.ROOT, "%.0f B each, slowest reader at %.0f%% of the mean", bytesPerEvent,
                100 * slowestShare));
    }
}
