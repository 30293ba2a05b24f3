package dev.sidewinder.server.ops;

import dev.sidewinder.engine.BackendUnavailableException;
import dev.sidewinder.engine.MemoryPlan;
import dev.sidewinder.engine.cpu.Arithmetic;
import dev.sidewinder.engine.cpu.CpuBackend;
import dev.sidewinder.engine.cpu.CpuOptions;
import dev.sidewinder.engine.cuda.CudaBackend;
import dev.sidewinder.engine.cuda.CudaDevice;
import dev.sidewinder.engine.cuda.CudaMemoryPlan;
import dev.sidewinder.engine.cuda.CudaOptions;
import dev.sidewinder.engine.cuda.DeviceFault;
import dev.sidewinder.engine.cuda.KvFormat;
import dev.sidewinder.engine.cuda.Sampling;
import dev.sidewinder.engine.stub.StubBackend;
import dev.sidewinder.engine.stub.StubShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.server.settings.ServerConfig;
import dev.sidewinder.server.settings.ServerConfig.ArithmeticKind;
import dev.sidewinder.server.settings.ServerConfig.CacheType;
import dev.sidewinder.server.settings.SettingsException;
import java.time.Duration;
import java.util.Optional;

/// Chooses the backend that the settings ask for and plans its memory.
final class Backends {

    /// Prompts are bound by arithmetic, not by reading weights, above some thousand tokens in a step.
    private static final int CUDA_BATCH_TOKENS = 8192;

    private Backends() {}

    /// @param machineBytes physical memory, for the default of the caches on the CPU
    /// @throws SettingsException when what was asked for is not to be had
    static PlannedBackend plan(Model model, ServerConfig.Engine settings, long machineBytes) {
        return switch (settings.backend()) {
            case AUTO -> bestOf(model, settings, machineBytes);
            case CPU -> cpu(model, settings, machineBytes);
            case CUDA -> {
                try {
                    yield cuda(model, settings, machineBytes);
                } catch (BackendUnavailableException e) {
                    if (DeviceFault.of(e).filter(DeviceFault.HARDWARE::equals).isPresent()) {
                        throw e;
                    }
                    throw new SettingsException("sidewinder.engine.backend=cuda is not to be had: " + e.getMessage());
                }
            }
            case STUB -> stub(model, settings, machineBytes);
        };
    }

    private static PlannedBackend bestOf(Model model, ServerConfig.Engine settings, long machineBytes) {
        if (settings.arithmetic() != ArithmeticKind.BF16) {
            return cpu(model, settings, machineBytes);
        }
        try {
            return cuda(model, settings, machineBytes);
        } catch (BackendUnavailableException e) {
            return cpu(model, settings, machineBytes).noting("no GPU is used: " + e.getMessage());
        }
    }

    private static PlannedBackend cpu(Model model, ServerConfig.Engine settings, long machineBytes) {
        if (settings.cacheType() == CacheType.FP8) {
            throw new SettingsException("sidewinder.engine.kv-cache-dtype=fp8 runs on a GPU only, and none is used");
        }
        MemoryPlan plan = CachePlanner.plan(model.config(), settings, machineBytes);
        Arithmetic arithmetic = CachePlanner.arithmetic(settings);
        if (arithmetic == Arithmetic.FP8 && !CpuBackend.takesFp8Activations(model.weights())) {
            throw new SettingsException("sidewinder.engine.arithmetic=fp8 needs matrices that are stored in FP8 with an "
                    + "input_scale, and this model has none; leave it out");
        }
        int threads = settings.threads() > 0 ? settings.threads() : Runtime.getRuntime().availableProcessors();
        int batchTokens = settings.batchTokens(CachePlanner.CPU_BATCH_TOKENS);
        var options = new CpuOptions(arithmetic, threads, batchTokens, CpuOptions.Products.BEST);
        return new PlannedBackend("cpu", plan, batchTokens, cacheType(settings), Optional.empty(), Optional.empty(),
                Optional.empty(),
                progress -> {
                    model.makeWeights();
                    return new CpuBackend(model.config(), model.weights(), plan.memory(), options, progress);
                }, () -> {});
    }

    private static PlannedBackend stub(Model model, ServerConfig.Engine settings, long machineBytes) {
        MemoryPlan plan = CachePlanner.plan(model.config(), settings, machineBytes);
        var shape = new StubShape(model.config().vocabSize(), plan.memory(), Duration.ZERO, Duration.ZERO);
        return new PlannedBackend("stub", plan, settings.batchTokens(CachePlanner.CPU_BATCH_TOKENS), cacheType(settings),
                Optional.empty(), Optional.empty(), Optional.empty(), progress -> new StubBackend(shape), () -> {});
    }

    private static String cacheType(ServerConfig.Engine settings) {
        return settings.arithmetic() == ArithmeticKind.BF16 ? "bfloat16" : "float32";
    }

    private static PlannedBackend cuda(Model model, ServerConfig.Engine settings, long machineBytes) {
        ServerConfig.Cuda cuda = settings.cuda();
        int batchTokens = settings.batchTokens(CUDA_BATCH_TOKENS);
        int most = CachePlanner.mostSequences(settings, batchTokens);
        int tokens = CachePlanner.wantedTokens(model.config(), settings);
        KvFormat format = settings.cacheType() == CacheType.FP8 ? KvFormat.E4M3 : KvFormat.BF16;
        // pages that the device can copy from and to are taken from everybody else: an eighth of the machine's, unless it was said
        long hostBytes = CachePlanner.hostBytes(settings, Long.MAX_VALUE, machineBytes);
        CudaDevice device = CudaDevice.open(cuda.driver(), cuda.kernels(), cuda.device());
        try {
            var wanted = new CudaOptions(batchTokens, settings.maxSequences() > 0 ? settings.maxSequences() : most, tokens, format,
                    cuda.batchInvariant(), true, Sampling.AHEAD, cuda.warpgroups());
            CudaMemoryPlan memory = device.plan(model.config(), model.weights(), wanted,
                    new CudaMemoryPlan.Wish(settings.cacheBytes(), hostBytes, settings.maxSequences(), most, tokens));
            MemoryPlan plan = memory.caches();
            CachePlanner.checkLength(plan, settings);
            CudaOptions options = wanted.with(plan.maxSequences(), plan.maxModelTokens());
            return new PlannedBackend("cuda", plan, batchTokens, format == KvFormat.E4M3 ? "fp8_e4m3" : "bfloat16",
                    Optional.of(memory.toString()), Optional.of(device.summary()), Optional.empty(),
                    progress -> new CudaBackend(device, model.config(), model.weights(), plan.memory(), options, progress),
                    device::close);
        } catch (RuntimeException e) {
            device.close();
            throw e;
        }
    }
}
