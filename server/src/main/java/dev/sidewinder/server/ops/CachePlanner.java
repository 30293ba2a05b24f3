package dev.sidewinder.server.ops;

import dev.sidewinder.engine.MemoryPlan;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.config.CacheFootprint;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.server.settings.ServerConfig;
import dev.sidewinder.server.settings.ServerConfig.ArithmeticKind;
import dev.sidewinder.server.settings.SettingsException;

/// Plans the caches as the settings ask, and says which setting to change when that is impossible.
final class CachePlanner {

    private static final int MOST_SEQUENCES = 256;
    private static final int STATE_BYTES = 4;

    private CachePlanner() {}

    /// @param machineBytes physical memory, for the default
    /// @throws SettingsException when what was asked for does not fit together
    static MemoryPlan plan(ModelConfig model, ServerConfig.Engine settings, long machineBytes) {
        // a step must hold every running sequence and still have room for a piece of a prompt
        int most = Math.min(MOST_SEQUENCES, settings.maxBatchTokens() - CacheShape.BLOCK_TOKENS);
        if (settings.maxSequences() > settings.maxBatchTokens() - CacheShape.BLOCK_TOKENS) {
            throw new SettingsException("sidewinder.engine.max-num-seqs=" + settings.maxSequences() + " leaves no room for "
                    + "a piece of a prompt in a step of sidewinder.engine.max-num-batched-tokens="
                    + settings.maxBatchTokens() + "; the second must be larger by at least " + CacheShape.BLOCK_TOKENS);
        }
        var types = new CacheFootprint.Types(STATE_BYTES, STATE_BYTES,
                settings.arithmetic() == ArithmeticKind.BF16 ? 2 : 4);
        long bytes = settings.cacheBytes() > 0 ? settings.cacheBytes() : MemoryPlan.defaultBytes(machineBytes);
        int length = settings.maxModelTokens() > 0 ? settings.maxModelTokens() : model.maxPositionEmbeddings();
        MemoryPlan plan;
        try {
            plan = MemoryPlan.of(CacheFootprint.of(model), types, bytes, settings.maxSequences(), Math.max(1, most), length);
        } catch (IllegalArgumentException e) {
            throw new SettingsException(e.getMessage() + "; raise sidewinder.engine.cache-size or lower "
                    + "sidewinder.engine.max-num-seqs");
        }
        if (plan.maxModelTokens() < settings.maxModelTokens()) {
            throw new SettingsException("sidewinder.engine.max-model-len=" + settings.maxModelTokens() + " does not fit: "
                    + "beside " + plan.shape().slots() + " states there is room for " + plan.maxModelTokens()
                    + " tokens; raise sidewinder.engine.cache-size or lower sidewinder.engine.max-num-seqs");
        }
        return plan;
    }
}
