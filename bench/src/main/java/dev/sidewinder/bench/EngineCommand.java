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
    "nothing: scheduling and handing out events, and beside it sampling, which grows with the vocabulary."})
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
            common.narrator().begin(count + (count == 1 ? " sequence" : " sequences"));
            var benchmark = new EngineBenchmark(count, vocabSize);
            benchmark.run(true);
            List<Double> sampling = new ArrayList<>();
            Measurement own = Measurement.of(count + " sequences", "µs/step", common.plan(), () -> {
                EngineBenchmark.Result result = benchmark.run(false);
                sampling.add(result.sampleMicros());
                return result.ownMicros();
            });
            double median = sampling.stream().sorted().skip(sampling.size() / 2).findFirst().orElseThrow();
            report.add(own, String.format(Locale.ROOT, "and sampling %.1f", median));
        }
        common.publish(report);
        return 0;
    }
}
