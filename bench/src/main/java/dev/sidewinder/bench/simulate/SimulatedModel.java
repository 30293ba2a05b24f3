package dev.sidewinder.bench.simulate;

import dev.sidewinder.bench.gpu.StepArithmetic;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.MemoryPlan;
import dev.sidewinder.engine.cuda.CudaFootprint;
import dev.sidewinder.engine.cuda.CudaOptions;
import dev.sidewinder.engine.cuda.KvFormat;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.SchedulerLimits;
import java.util.Locale;
import java.util.OptionalLong;

/// A model on a GPU that need not be there: what its memory is cut into, and what its steps take.
///
/// @param description for the report
/// @param memory      the pool of the caches, and the host area
/// @param stateBytes  recurrent state of one sequence
/// @param blockBytes  keys and values of 128 tokens
/// @param timer       says how long steps take
record SimulatedModel(String description, BackendMemory memory, long stateBytes, long blockBytes, StepTimer timer) {

    private static final double GIB = 1L << 30;

    /// The memory is what `./sidewinder inspect --device-memory` says, too: the device's less driver, weights and workspace.
    ///
    /// @param model     its weights are not read; may be closed afterwards
    /// @param hostBytes pinned memory for suspended sequences; absent = half of what the caches take, as the server does where the
    ///                  machine has enough
    static SimulatedModel of(Model model, Gpu gpu, Gpu.Rates rates, KvFormat kvFormat, SchedulerLimits limits,
            OptionalLong hostBytes) {
        var options = new CudaOptions(limits.maxBatchTokens(), limits.maxSequences(), limits.maxSequenceTokens(), kvFormat, false, true);
        CudaFootprint footprint = CudaFootprint.estimate(model.config(), model.weights(), options, gpu.memoryBytes());
        if (footprint.cacheBytes() <= 0) {
            throw new IllegalArgumentException(String.format(Locale.ROOT, "%s does not fit into the %.0f GiB of %s: weights have %.1f GiB",
                    model.name(), gpu.memoryBytes() / GIB, gpu.name(), footprint.weightBytes() / GIB));
        }
        MemoryPlan plan = MemoryPlan.of(footprint.stateBytes(), footprint.blockBytes(), new MemoryPlan.Wish(footprint.cacheBytes(),
                hostBytes.orElse(footprint.cacheBytes() / 2), limits.maxSequences(), limits.maxSequences(), limits.maxSequenceTokens()));
        var arithmetic = new StepArithmetic(model.config(), model.weights(), kvFormat.bytes());
        var timer = new StepTimer(arithmetic, model.config().layers(), model.config().hiddenSize(), rates,
                footprint.stateBytes(), footprint.blockBytes(), limits.maxBatchTokens());
        String description = String.format(Locale.ROOT, "%s on one %s, keys and values in %s, %.1f GiB for the caches: %d frames of %d blocks, %.1f GiB on the host",
                model.name(), gpu.name().toUpperCase(Locale.ROOT), kvFormat.name().toLowerCase(Locale.ROOT),
                footprint.cacheBytes() / GIB, plan.frames().frames(), plan.frames().blocksPerFrame(), plan.hostBytes() / GIB);
        return new SimulatedModel(description, plan.memory(), footprint.stateBytes(), footprint.blockBytes(), timer);
    }
}
