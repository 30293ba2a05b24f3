package dev.sidewinder.bench;

import dev.sidewinder.engine.cpu.Arithmetic;
import dev.sidewinder.engine.cpu.CpuBackend;
import dev.sidewinder.engine.cpu.CpuCacheLayout;
import dev.sidewinder.engine.cpu.CpuOptions;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import java.util.List;
import java.util.Locale;

/// A model on the CPU backend with room for some tests. Owns both.
final class ModelBenchmark implements AutoCloseable {

    private final Model model;
    private final CpuBackend backend;
    private final ModelRunner runner;

    /// @param location    checkpoint folder or `synthetic:<shape>`
    /// @param pieceTokens tokens of a prompt in one step at most; a multiple of 128
    /// @param narrator    is told how far loading is
    ModelBenchmark(String location, Arithmetic arithmetic, int threads, int pieceTokens, List<ModelTest> tests,
            Narrator narrator) {
        int slots = 1;
        int blocks = 1;
        for (ModelTest test : tests) {
            slots = Math.max(slots, test.width());
            blocks = Math.max(blocks, test.width() * CacheShape.blocksFor(test.length()));
        }
        var options = new CpuOptions(arithmetic, threads, Math.max(pieceTokens, slots), CpuOptions.Products.BEST);
        model = Model.open(location);
        try {
            backend = new CpuBackend(model.config(), model.weights(), CpuCacheLayout.of(model.config(), arithmetic).memory(slots, blocks), options,
                    (done, total) -> narrator.at(100 * done / total + " %"));
        } catch (RuntimeException failed) {
            model.close();
            throw failed;
        }
        runner = new ModelRunner(backend, pieceTokens);
    }

    /// What is measured, for the head of a report.
    String description() {
        return model.name() + ", " + model.numberFormat() + " weights, " + backend.description();
    }

    Measurement measure(ModelTest test, Measurement.Plan plan) throws Exception {
        return runner.measure(test, plan);
    }

    /// For decoding: what part of the memory's bandwidth the weights took.
    String share(ModelTest test, Measurement measurement, Measurement bandwidth) {
        return switch (test) {
            case ModelTest.Prefill _ -> "";
            case ModelTest.Decode decode -> {
                double stepBytes = WeightTraffic.bytesPerStep(model.config(), model.weights(), decode.sequences());
                double gigabytesPerSecond = stepBytes * measurement.median() / decode.sequences() * 1e-9;
                yield String.format(Locale.ROOT, "%.0f MB of weights a step, %.1f GB/s = %.0f%% of memory",
                        stepBytes * 1e-6, gigabytesPerSecond, 100 * gigabytesPerSecond / bandwidth.median());
            }
        };
    }

    @Override
    public void close() {
        backend.close();
        model.close();
    }
}
