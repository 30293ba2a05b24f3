package dev.sidewinder.server.ops;

import dev.sidewinder.engine.MemoryPlan;
import dev.sidewinder.engine.cpu.Arithmetic;
import dev.sidewinder.engine.cpu.CpuCacheLayout;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.server.settings.ServerConfig;
import dev.sidewinder.server.settings.SettingsException;

/// Plans the caches as the settings ask, and says which setting to change when that is impossible.
final class CachePlanner {

    /// What the CPU backend takes in one step where nothing is set.
    static final int CPU_BATCH_TOKENS = 512;

    private static final int MOST_SEQUENCES = 256;
    private static final long HOST_SHARE = 2;
    private static final long HOST_SHARE_OF_MACHINE = 8;

    private CachePlanner() {}

    /// @param machineBytes physical memory, for the default
    /// @throws SettingsException when what was asked for does not fit together
    static MemoryPlan plan(ModelConfig model, ServerConfig.Engine settings, long machineBytes) {
        int most = mostSequences(settings, settings.batchTokens(CPU_BATCH_TOKENS));
        CpuCacheLayout layout = CpuCacheLayout.of(model, arithmetic(settings));
        long bytes = settings.cacheBytes() > 0
                ? settings.cacheBytes()
                : MemoryPlan.defaultBytes(machineBytes, layout.slotBytes(), layout.blockBytes());
        var wish = new MemoryPlan.Wish(bytes, hostBytes(settings, bytes, machineBytes), settings.maxSequences(), most,
                wantedTokens(model, settings));
        MemoryPlan plan;
        try {
            plan = MemoryPlan.of(layout.slotBytes(), layout.blockBytes(), wish);
        } catch (IllegalArgumentException e) {
            throw new SettingsException(e.getMessage() + "; raise sidewinder.engine.cache-size or lower "
                    + "sidewinder.engine.max-num-seqs");
        }
        checkLength(plan, settings);
        return plan;
    }

    /// How many sequences may run where the settings name no number: a step must hold every running one and still have
    /// room for a piece of a prompt.
    ///
    /// @throws SettingsException when the settings name a number that leaves no room
    static int mostSequences(ServerConfig.Engine settings, int batchTokens) {
        if (settings.maxSequences() > batchTokens - CacheShape.BLOCK_TOKENS) {
            throw new SettingsException("sidewinder.engine.max-num-seqs=" + settings.maxSequences() + " leaves no room for "
                    + "a piece of a prompt in a step of sidewinder.engine.max-num-batched-tokens="
                    + batchTokens + "; the second must be larger by at least " + CacheShape.BLOCK_TOKENS);
        }
        return Math.clamp(batchTokens - CacheShape.BLOCK_TOKENS, 1, MOST_SEQUENCES);
    }

    /// How the CPU backend computes.
    static Arithmetic arithmetic(ServerConfig.Engine settings) {
        return switch (settings.arithmetic()) {
            case BF16 -> Arithmetic.BF16;
            case F32 -> Arithmetic.F32;
            case FP8 -> Arithmetic.FP8;
        };
    }

    /// Memory of the host for suspended sequences.
    ///
    /// @param cacheBytes memory for those that run
    static long hostBytes(ServerConfig.Engine settings, long cacheBytes, long machineBytes) {
        return settings.hostCacheBytes() > 0
                ? settings.hostCacheBytes()
                : Math.min(cacheBytes / HOST_SHARE, machineBytes / HOST_SHARE_OF_MACHINE);
    }

    /// Tokens of the longest sequence that is wanted.
    static int wantedTokens(ModelConfig model, ServerConfig.Engine settings) {
        return settings.maxModelTokens() > 0 ? settings.maxModelTokens() : model.maxPositionEmbeddings();
    }

    /// @throws SettingsException when a length was asked for that does not fit
    static void checkLength(MemoryPlan plan, ServerConfig.Engine settings) {
        if (plan.maxModelTokens() < settings.maxModelTokens()) {
            throw new SettingsException("sidewinder.engine.max-model-len=" + settings.maxModelTokens() + " does not fit: "
                    + "with all of the caches, beside its state, one sequence has room for " + plan.maxModelTokens()
                    + " tokens; raise sidewinder.engine.cache-size");
        }
    }
}
