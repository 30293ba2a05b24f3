package dev.sidewinder.engine;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;

/// Where each layer's part lies within a state slot and within a KV block: one behind the other, in the order of the layers, a state's
/// recurrent part before its history. All slots have one size and so have all blocks, over all layers together. What lies within a
/// part is for each backend to say.
///
/// @param slotBytes       of one state; 0 without Mamba layers
/// @param blockBytes      from block to block; 0 without attention layers
/// @param recurrentOffset by layer, in bytes from the start of a slot; 0 for layers that have none
/// @param historyOffset   the same, of the raw inputs of the convolution
/// @param kvOffset        by layer, in bytes from the start of a block
public record LayerPlaces(long slotBytes, long blockBytes, long[] recurrentOffset, long[] historyOffset, long[] kvOffset) {

    /// @param elementBytes   of a key or value; states are fp32
    /// @param alignmentBytes that every part begins at
    public static LayerPlaces of(ModelConfig config, int elementBytes, long alignmentBytes) {
        int layers = config.layers().size();
        long slot = 0;
        long block = 0;
        long[] recurrent = new long[layers];
        long[] history = new long[layers];
        long[] kv = new long[layers];
        for (int i = 0; i < layers; i++) {
            switch (config.layers().get(i)) {
                case LayerSpec.Mamba mamba -> {
                    recurrent[i] = slot;
                    slot += aligned((long) mamba.innerDim() * mamba.stateDim() * Float.BYTES, alignmentBytes);
                    history[i] = slot;
                    slot += aligned((long) (mamba.convWidth() - 1) * mamba.convDim() * Float.BYTES, alignmentBytes);
                }
                case LayerSpec.Attention attention -> {
                    kv[i] = block;
                    block += aligned(2L * attention.kvHeads() * attention.headDim() * CacheShape.BLOCK_TOKENS * elementBytes, alignmentBytes);
                }
                case LayerSpec.Experts _, LayerSpec.Mlp _ -> { }
            }
        }
        return new LayerPlaces(slot, block, recurrent, history, kv);
    }

    private static long aligned(long bytes, long alignmentBytes) {
        return Math.ceilDiv(bytes, alignmentBytes) * alignmentBytes;
    }

    /// The fewest frames in which so many sequences have a state each, and so many blocks together.
    public static FrameShape frames(long slotBytes, long blockBytes, int sequences, int blocks) {
        int blocksPerFrame = FrameShape.of(Long.MAX_VALUE, slotBytes, blockBytes).blocksPerFrame();
        return FrameShape.holding(sequences, Math.max(1, blocks), blocksPerFrame);
    }
}
