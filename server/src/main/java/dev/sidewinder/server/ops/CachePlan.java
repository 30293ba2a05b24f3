package dev.sidewinder.server.ops;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.server.settings.ServerConfig;
import dev.sidewinder.server.settings.ServerConfig.ArithmeticKind;
import dev.sidewinder.server.settings.SettingsException;

/// How the memory for caches is cut into KV blocks and state slots, and how long a sequence may get in them.
///
/// @param shape          blocks and slots
/// @param maxModelTokens prompt and answer of one sequence at most
/// @param blockBytes     keys and values of 128 tokens, over all attention layers
/// @param slotBytes      recurrent state of one sequence, over all Mamba layers
public record CachePlan(CacheShape shape, int maxModelTokens, long blockBytes, long slotBytes) {

    private static final int MOST_SEQUENCES = 256;
    private static final long STATE_ELEMENT_BYTES = 4;

    /// @param machineBytes physical memory, for the default
    /// @throws SettingsException when what was asked for does not fit together
    static CachePlan of(ModelConfig model, ServerConfig.Engine settings, long machineBytes) {
        long blockBytes = blockBytes(model, settings.arithmetic() == ArithmeticKind.BF16 ? 2 : 4);
        long slotBytes = slotBytes(model);
        long budget = settings.cacheBytes() > 0 ? settings.cacheBytes() : machineBytes / 4;
        int slots = slots(settings, budget, slotBytes);
        long stated = settings.maxModelTokens() > 0 ? settings.maxModelTokens() : model.maxPositionEmbeddings();
        long blocksForAll = (long) slots * CacheShape.blocksFor((int) Math.min(stated, Integer.MAX_VALUE - 128));
        long affordable = blockBytes == 0 ? blocksForAll : (budget - slots * slotBytes) / blockBytes;
        int blocks = (int) Math.min(Math.min(affordable, blocksForAll), Integer.MAX_VALUE / CacheShape.BLOCK_TOKENS);
        if (blocks < 1) {
            throw new SettingsException("the cache has " + budget + " bytes (sidewinder.engine.cache-size); " + slots
                    + " sequences of this model need " + slots * slotBytes + " for their states and at least " + blockBytes
                    + " for keys and values");
        }
        long held = (long) blocks * CacheShape.BLOCK_TOKENS;
        if (settings.maxModelTokens() > held) {
            throw new SettingsException("sidewinder.engine.max-model-len=" + settings.maxModelTokens() + " needs "
                    + CacheShape.blocksFor(settings.maxModelTokens()) * blockBytes + " bytes of KV blocks, and beside the "
                    + slots + " states there is room for " + held + " tokens; raise sidewinder.engine.cache-size or lower "
                    + "sidewinder.engine.max-num-seqs");
        }
        return new CachePlan(new CacheShape(blocks, slots), (int) Math.min(stated, held), blockBytes, slotBytes);
    }

    private static int slots(ServerConfig.Engine settings, long budget, long slotBytes) {
        int most = Math.min(MOST_SEQUENCES, settings.maxBatchTokens() - CacheShape.BLOCK_TOKENS);
        if (settings.maxSequences() > settings.maxBatchTokens() - CacheShape.BLOCK_TOKENS) {
            throw new SettingsException("sidewinder.engine.max-num-seqs=" + settings.maxSequences() + " leaves no room for "
                    + "a piece of a prompt in a step of sidewinder.engine.max-num-batched-tokens="
                    + settings.maxBatchTokens() + "; the second must be larger by at least 128");
        }
        if (settings.maxSequences() > 0) {
            return settings.maxSequences();
        }
        long affordable = slotBytes == 0 ? most : budget / 2 / slotBytes;
        return (int) Math.clamp(affordable, 1, Math.max(1, most));
    }

    private static long blockBytes(ModelConfig model, int elementBytes) {
        long bytes = 0;
        for (LayerSpec layer : model.layers()) {
            bytes += switch (layer) {
                case LayerSpec.Attention attention ->
                    2L * attention.kvHeads() * attention.headDim() * CacheShape.BLOCK_TOKENS * elementBytes;
                case LayerSpec.Mamba mamba -> 0;
                case LayerSpec.Experts experts -> 0;
                case LayerSpec.Mlp mlp -> 0;
            };
        }
        return bytes;
    }

    private static long slotBytes(ModelConfig model) {
        long bytes = 0;
        for (LayerSpec layer : model.layers()) {
            bytes += switch (layer) {
                case LayerSpec.Mamba mamba -> STATE_ELEMENT_BYTES * ((long) mamba.innerDim() * mamba.stateDim()
                        + (long) mamba.convDim() * (mamba.convWidth() - 1));
                case LayerSpec.Attention attention -> 0;
                case LayerSpec.Experts experts -> 0;
                case LayerSpec.Mlp mlp -> 0;
            };
        }
        return bytes;
    }

    /// Bytes of all blocks and slots.
    public long bytes() {
        return shape.blocks() * blockBytes + shape.slots() * slotBytes;
    }
}
