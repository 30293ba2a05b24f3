package dev.sidewinder.engine.cpu;

import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.LayerPlaces;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import java.lang.foreign.MemorySegment;

/// What lies within a state slot and within a KV block; each layer's part begins where [LayerPlaces] says.
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
        int elementBytes = switch (arithmetic) {
            case BF16 -> 2;
            case F32, FP8 -> 4;
        };
        LayerPlaces places = LayerPlaces.of(config, elementBytes, ALIGNMENT_BYTES);
        // A model that remembers nothing has places all the same: frames need a size.
        long slotBytes = places.slotBytes() + places.blockBytes() == 0 ? ALIGNMENT_BYTES : places.slotBytes();
        return new CpuCacheLayout(slotBytes, places.blockBytes(), elementBytes, places.recurrentOffset(), places.historyOffset(), places.kvOffset());
    }

    /// Bytes from frame to frame.
    public long frameBytes(FrameShape shape) {
        return blockBytes == 0 ? slotBytes : shape.blocksPerFrame() * blockBytes;
    }

    /// The fewest frames in which so many sequences have a state each, and so many blocks together.
    public FrameShape frames(int sequences, int blocks) {
        return LayerPlaces.frames(slotBytes, blockBytes, sequences, blocks);
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
