package dev.sidewinder.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// `bench engine`: what a step costs besides the model.
@Command(name = "engine", description = {"Measures the engine's own work per decode step, with a backend that computes",
    "nothing: scheduling and handing out events, and beside it sampling, which grows with the vocabulary.",
    "Once with readers that wait for each token, as in the server, and once without anybody to wake.",
    "The time that the engine thread ran says how much of it was spent waiting for a processor."})
final class EngineCommand implements Callable<Integer> {

    @Option(names = "--sequences", paramLabel = "LIST", split = ",", defaultValue = "1,64,256",
            description = "Sequences decoding at once (default: ${DEFAULT-VALUE}).")
    List<Integer> sequences;

    @Option(names = "--vocab", paramLabel = "N", defaultValue = "1024",
            description = "Vocabulary to sample from (default: ${DEFAULT-VALUE}).")
    int vocabSize;

    @Mixin
    CommonOptions common;

    @Override
    public Integer call() throws Exception {
        var report = new Report("engine", "engine with a stub backend, greedy, vocabulary of " + vocabSize);
        for (int count : sequences) {
            for (EngineBenchmark.Readers readers : EngineBenchmark.Readers.values()) {
                measure(report, count, readers);
            }
        }
        common.publish(report);
        return 0;
    }

    private void measure(Report report, int count, EngineBenchmark.Readers readers) throws Exception {
        String name = count + (count == 1 ? " sequence" : " sequences") + switch (readers) {
            case WAITING -> "";
            case ENGINE_THREAD -> ", no wake-ups";
        };
        common.narrator().begin(name);
        var benchmark = new EngineBenchmark(count, vocabSize, readers);
        benchmark.warmUp();
        List<Double> sampling = new ArrayList<>();
        List<Double> cpu = new ArrayList<>();
        Measurement own = Measurement.of(name, "µs/step", common.plan(), () -> {
            EngineBenchmark.Result result = benchmark.run();
            sampling.add(result.sampleMicros());
            cpu.add(result.cpuMicros());
            return result.ownMicros();
        });
        report.add(own, String.format(Locale.ROOT, "and sampling %.1f; the engine thread ran for %.1f in all", median(sampling), median(cpu)));
    }

    private static double median(List<Double> values) {
        return values.stream().sorted().skip(values.size() / 2).findFirst().orElseThrow();
    }
}
