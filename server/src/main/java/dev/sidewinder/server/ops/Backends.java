package dev.sidewinder.server.ops;

import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.cpu.Arithmetic;
import dev.sidewinder.engine.cpu.CpuBackend;
import dev.sidewinder.engine.cpu.CpuOptions;
import dev.sidewinder.engine.stub.StubBackend;
import dev.sidewinder.engine.stub.StubShape;
import dev.sidewinder.engine.MemoryPlan;
import dev.sidewinder.model.Model;
import dev.sidewinder.server.settings.ServerConfig;

/// Makes the backend that the settings name.
final class Backends {

    private Backends() {}

    static Backend create(Model model, MemoryPlan plan, ServerConfig.Engine settings, LoadProgress progress) {
        return switch (settings.backend()) {
            case CPU -> new CpuBackend(model.config(), model.weights(), plan.shape(), options(settings), progress);
            case STUB -> new StubBackend(new StubShape(model.config().vocabSize(), plan.shape()));
        };
    }

    private static CpuOptions options(ServerConfig.Engine settings) {
        Arithmetic arithmetic = switch (settings.arithmetic()) {
            case BF16 -> Arithmetic.BF16;
            case F32 -> Arithmetic.F32;
        };
        int threads = settings.threads() > 0 ? settings.threads() : Runtime.getRuntime().availableProcessors();
        return new CpuOptions(arithmetic, threads, settings.maxBatchTokens(), CpuOptions.Products.BEST);
    }
}
