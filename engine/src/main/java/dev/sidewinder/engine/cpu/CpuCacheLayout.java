package dev.sidewinder.engine.cpu;

import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import java.lang.foreign.MemorySegment;

/// Where each layer's part lies within a state slot and within a KV block. All slots have one size and so have all blocks,
/// over all layers together.
///
/// | in         | of a layer  | shape                                  | type                                                 |
/// |------------|-------------|----------------------------------------|------------------------------------------------------|
/// | state slot | recurrent   | `[heads, stateDim, headDim]`           | fp32                                                 |
/// |            | history     | `[groups, taps - 1, groupChannels]`    | fp32, raw inputs of the convolution, oldest first    |
/// | KV block   | keys        | `[kvHeads, headDim, 128]`              | bf16 or fp32, as the arithmetic says; head by head,  |
/// |            | values      | `[kvHeads, 128, headDim]`              | keys of a head before its values                     |
///
/// @param slotBytes       of one state; 0 without Mamba layers, unless there are no attention layers either
/// @param blockBytes      from block to block; 0 without attention layers
/// @param elementBytes    of a key or value
/// @param recurrentOffset by layer, in bytes from the start of a slot; 0 for layers that have none
/// @param historyOffset   the same
/// @param kvOffset        by layer, in bytes from the start of a block
public record CpuCacheLayout(long slotBytes, long blockBytes, int elementBytes, long[] recurrentOffset, long[] historyOffset,
        long[] kvOffset) {

    /// A cache line.
    private static final long ALIGNMENT_BYTES = 64;

    /// Goes up with every change of the layout, so that what was written with another one is not taken for this.
    private static final int VERSION = 1;

    public static CpuCacheLayout of(ModelConfig config, Arithmetic arithmetic) {
        int layers = config.layers().size();
        int elementBytes = switch (arithmetic) {
            case BF16 -> 2;
            case F32, FP8 -> 4;
        };
        long slot = 0;
        long block = 0;
        long[] recurrent = new long[layers];
        long[] history = new long[layers];
        long[] kv = new long[layers];
        for (int i = 0; i < layers; i++) {
            switch (config.layers().get(i)) {
                case LayerSpec.Mamba mamba -> {
                    recurrent[i] = slot;
                    slot += aligned((long) mamba.innerDim() * mamba.stateDim() * Float.BYTES);
                    history[i] = slot;
                    slot += aligned((long) (mamba.convWidth() - 1) * mamba.convDim() * Float.BYTES);
                }
                case LayerSpec.Attention attention -> {
                    kv[i] = block;
                    block += aligned(2L * attention.kvHeads() * attention.headDim() * CacheShape.BLOCK_TOKENS * elementBytes);
                }
                case LayerSpec.Experts _, LayerSpec.Mlp _ -> { }
            }
        }
        // A model that remembers nothing has places all the same: frames need a size.
        return new CpuCacheLayout(slot + block == 0 ? ALIGNMENT_BYTES : slot, block, elementBytes, recurrent, history, kv);
    }

    private static long aligned(long bytes) {
        return Math.ceilDiv(bytes, ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    }

    /// Bytes from frame to frame.
    public long frameBytes(FrameShape shape) {
        return blockBytes == 0 ? slotBytes : shape.blocksPerFrame() * blockBytes;
    }

    /// The fewest frames in which so many sequences have a state each, and so many blocks together.
    public FrameShape frames(int sequences, int blocks) {
        int blocksPerFrame = FrameShape.of(Long.MAX_VALUE, slotBytes, blockBytes).blocksPerFrame();
        return new FrameShape(sequences + Math.max(1, Math.ceilDiv(blocks, blocksPerFrame)), blocksPerFrame);
    }

    /// Fills a block with zeros behind its first tokens.
    void clearBehind(ModelConfig config, MemorySegment block, int tokens) {
        long behind = CacheShape.BLOCK_TOKENS - tokens;
        for (int layer = 0; layer < kvOffset.length; layer++) {
            if (config.layers().get(layer) instanceof LayerSpec.Attention attention) {
                long halfBytes = (long) CacheShape.BLOCK_TOKENS * attention.headDim() * elementBytes;
                for (int head = 0; head < attention.kvHeads(); head++) {
                    long keys = kvOffset[layer] + 2 * head * halfBytes;
                    for (int d = 0; d < attention.headDim(); d++) {
                        long row = keys + (long) d * CacheShape.BLOCK_TOKENS * elementBytes;
                        block.asSlice(row + (long) tokens * elementBytes, behind * elementBytes).fill((byte) 0);
                    }
                    long rowBytes = (long) attention.headDim() * elementBytes;
                    block.asSlice(keys + halfBytes + tokens * rowBytes, behind * rowBytes).fill((byte) 0);
                }
            }
        }
    }

    /// The same, and no room on the host.
    public BackendMemory memory(int sequences, int blocks) {
        return new BackendMemory(frames(sequences, blocks), HostShape.NONE);
    }

    /// What must be equal for the bytes of a state or block to mean the same.
    String describe() {
        return "layout " + VERSION + ", states of " + slotBytes + " bytes, blocks of " + blockBytes + " bytes, keys and values of "
                + elementBytes + " bytes";
    }
}
