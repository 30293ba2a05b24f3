package dev.sidewinder.bench;

import dev.sidewinder.engine.cpu.Arithmetic;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// `bench model`: decoding and prompts on the CPU backend, without engine and server.
@Command(name = "model", description = {"Measures decoding and prompt processing of the CPU backend.",
    "ppN = a prompt of N tokens; tgN@D = N tokens after a prompt of D; parSxN@D = S sequences at once."})
final class ModelCommand implements Callable<Integer> {

    @Option(names = "--model", paramLabel = "MODEL", defaultValue = "synthetic:bench-1b",
            description = "Checkpoint folder or synthetic:SHAPE (default: ${DEFAULT-VALUE}).")
    String location;

    @Option(names = "--arithmetic", paramLabel = "f32|bf16", defaultValue = "bf16",
            description = "Format of the large sums (default: ${DEFAULT-VALUE}).")
    String arithmetic;

    @Option(names = "--threads", paramLabel = "N", description = "Threads (default: all processors).")
    Integer threads;

    @Option(names = "--tests", paramLabel = "LIST", split = ",",
            defaultValue = "tg64@64,tg64@2048,par8x32@64,par8x32@2048,pp512,pp2048",
            description = "What to time (default: ${DEFAULT-VALUE}).")
    List<String> tests;

    @Option(names = "--piece", paramLabel = "N", defaultValue = "512",
            description = "Tokens of a prompt in one step, a multiple of 128 (default: ${DEFAULT-VALUE}).")
    int pieceTokens;

    @Mixin
    CommonOptions common;

    @Override
    public Integer call() throws Exception {
        List<ModelTest> parsed = tests.stream().map(ModelTest::parse).toList();
        int processors = threads == null ? Runtime.getRuntime().availableProcessors() : threads;
        common.narrator().begin("measuring the memory's read bandwidth");
        Measurement bandwidth = MemoryBandwidth.measure(processors, common.plan());
        common.narrator().begin("loading " + location);
        Arithmetic format = Arithmetic.valueOf(arithmetic.toUpperCase(Locale.ROOT));
        try (var benchmark = new ModelBenchmark(location, format, processors, pieceTokens, parsed, common.narrator())) {
            var report = new Report("model", benchmark.description());
            report.add(bandwidth, processors + " threads");
            for (ModelTest test : parsed) {
                common.narrator().begin(test.toString());
                Measurement measurement = benchmark.measure(test, common.plan());
                report.add(measurement, benchmark.share(test, measurement, bandwidth));
            }
            common.publish(report);
        }
        return 0;
    }
}
