package dev.sidewinder.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sidewinder.engine.cpu.Arithmetic;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// `bench peer`: llama.cpp and we on the same weights, in turn, so that what changes on the machine meets both.
@Command(name = "peer", description = {"Measures llama.cpp and this engine in turn on the same random weights.",
    "Sets llama.cpp up first if need be: see bench/peers/llamacpp/README.md."})
final class PeerCommand implements Callable<Integer> {

    private static final int PIECE_TOKENS = 512;

    @Option(names = "--config", paramLabel = "NAME", defaultValue = "bench-1b",
            description = "A configuration of make_model.py (default: ${DEFAULT-VALUE}).")
    String config;

    @Option(names = "--tests", paramLabel = "LIST", split = ",", defaultValue = "tg64@64,tg64@2048,par8x32@64,pp512,pp2048",
            description = "What to time (default: ${DEFAULT-VALUE}).")
    List<String> tests;

    @Option(names = "--rounds", paramLabel = "N", defaultValue = "2",
            description = "How often the two take turns (default: ${DEFAULT-VALUE}).")
    int rounds;

    @Mixin
    CommonOptions common;

    private final Path folder = CommonOptions.repository().resolve(Path.of("bench", "peers", "llamacpp"));

    @Override
    public Integer call() throws Exception {
        prepare();
        int threads = Runtime.getRuntime().availableProcessors();
        List<ModelTest> parsed = tests.stream().map(ModelTest::parse).toList();
        String checkpoint = folder.resolve("work/models/" + config + "-hf").toString();
        List<Measurement> theirs = empty("llama.cpp ");
        List<Measurement> ours = empty("sidewinder ");
        String description = "";
        for (int round = 0; round < rounds; round++) {
            common.narrator().begin("round " + (round + 1) + " of " + rounds + ": llama.cpp");
            for (int i = 0; i < parsed.size(); i++) {
                common.narrator().at(tests.get(i));
                runPeer(tests.get(i), threads, theirs.get(i));
            }
            common.narrator().begin("round " + (round + 1) + " of " + rounds + ": sidewinder");
            try (var benchmark = new ModelBenchmark(checkpoint, Arithmetic.BF16, threads, PIECE_TOKENS, parsed,
                    common.narrator())) {
                description = benchmark.description();
                for (int i = 0; i < parsed.size(); i++) {
                    common.narrator().at(tests.get(i));
                    ours.get(i).addAll(benchmark.measure(parsed.get(i), common.plan()));
                }
            }
        }
        var report = new Report("peer", description + "; llama.cpp on bf16 with " + threads + " threads");
        for (int i = 0; i < parsed.size(); i++) {
            report.add(theirs.get(i), "");
            report.add(ours.get(i), ratio(ours.get(i), theirs.get(i)));
        }
        common.publish(report);
        return 0;
    }

    private static String ratio(Measurement ours, Measurement theirs) {
        boolean comparable = ours.usable() && theirs.usable();
        return comparable ? String.format(Locale.ROOT, "%.2f of llama.cpp", ours.median() / theirs.median())
                : "not comparable: no quiet repeat";
    }

    private List<Measurement> empty(String engine) {
        List<Measurement> measurements = new ArrayList<>();
        for (String test : tests) {
            measurements.add(new Measurement(engine + test, "tok/s"));
        }
        return measurements;
    }

    private void prepare() throws IOException, InterruptedException {
        if (!Files.isExecutable(folder.resolve("work/peerbench"))) {
            common.narrator().begin("setting llama.cpp up");
            common.narrator().close();
            run("./setup.sh");
        }
        if (!Files.exists(folder.resolve("work/models/" + config + "-bf16.gguf"))
                || !Files.exists(folder.resolve("work/models/" + config + "-hf/model.safetensors"))) {
            common.narrator().begin("writing the weights");
            common.narrator().close();
            run(python(), "make_model.py", "--config", config, "--kinds", "bf16,hf");
        }
    }

    private static String python() {
        String chosen = System.getenv("PYTHON");
        return chosen == null ? "python3" : chosen;
    }

    private void run(String... command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).directory(folder.toFile()).inheritIO().start();
        if (process.waitFor() != 0) {
            throw new IOException(String.join(" ", command) + " failed with status " + process.exitValue()
                    + " in " + folder);
        }
    }

    /// A process for each test: a context for eight sequences would cost the others memory and time.
    private void runPeer(String test, int threads, Measurement into) throws IOException, InterruptedException {
        Process process = new ProcessBuilder("work/peerbench", "--libs", "work/libs", "--model",
                "work/models/" + config + "-bf16.gguf", "--threads", String.valueOf(threads), "--reps",
                String.valueOf(common.repeats), "--wait", String.valueOf(common.waitSeconds), "--tests", test)
                .directory(folder.toFile()).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        try (var lines = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                readPeerLine(line, into);
            }
        }
        if (process.waitFor() != 0) {
            throw new IOException("peerbench failed with status " + process.exitValue() + " in " + test);
        }
    }

    static void readPeerLine(String line, Measurement into) throws IOException {
        if (!line.startsWith("{")) {
            return;
        }
        JsonNode result = new ObjectMapper().readTree(line);
        if (result.has("tok_s")) {
            into.add(result.path("tok_s").asDouble(), new QuietMachine.Disturbance(result.path("others").asDouble(),
                    result.path("quiet").asBoolean()));
        }
    }
}
