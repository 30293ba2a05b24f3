package dev.sidewinder.engine.cuda;

import dev.sidewinder.engine.LayerPlaces;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// What lies within a state slot and within a KV block; each layer's part begins where [LayerPlaces] says.
///
/// | in         | of a layer  | shape                          | type                                                  |
/// |------------|-------------|--------------------------------|-------------------------------------------------------|
/// | state slot | recurrent   | `[heads, headDim, stateDim]`   | fp32                                                  |
/// |            | history     | `[taps - 1, channels]`         | fp32, raw inputs of the convolution, oldest first     |
/// | KV block   | keys, values| `[2, kvHeads, 128, headDim]`   | as [KvFormat] says                                    |
///
/// @param slotBytes       of one state; 0 without Mamba layers
/// @param blockBytes      from block to block; 0 without attention layers
/// @param recurrentOffset by layer, in bytes; 0 for layers that have none
/// @param historyOffset   the same
/// @param kvOffset        the same
record CacheLayout(long slotBytes, long blockBytes, long[] recurrentOffset, long[] historyOffset, long[] kvOffset) {

    private static final long ALIGNMENT_BYTES = 256;

    /// Goes up with every change of what lies where, so that what was written with another one is not taken for this.
    private static final int VERSION = 1;

    static CacheLayout of(ModelConfig config, KvFormat format) {
        LayerPlaces places = LayerPlaces.of(config, format.bytes(), ALIGNMENT_BYTES);
        return new CacheLayout(places.slotBytes(), places.blockBytes(), places.recurrentOffset(), places.historyOffset(), places.kvOffset());
    }

    /// Bytes from frame to frame, which is from slot to slot.
    ///
    /// @throws IllegalArgumentException when a frame does not hold a state
    long frameBytes(FrameShape shape) {
        long frameBytes = blockBytes == 0 ? slotBytes : shape.blocksPerFrame() * blockBytes;
        if (frameBytes < slotBytes) {
            throw new IllegalArgumentException("frames of " + shape.blocksPerFrame() + " blocks of " + blockBytes
                    + " bytes do not hold a state of " + slotBytes);
        }
        return frameBytes;
    }

    /// The fewest frames in which so many sequences have a state each, and so many blocks together.
    FrameShape frames(int sequences, int blocks) {
        return LayerPlaces.frames(slotBytes, blockBytes, sequences, blocks);
    }

    /// What must be equal for the bytes of a state or block to mean the same.
    String describe() {
        return "layout " + VERSION + ", " + this;
    }

    /// Fills a block with zeros behind its first tokens, on the host.
    void clearBehind(ModelConfig config, KvFormat format, MemorySegment block, int tokens) {
        for (int layer = 0; layer < kvOffset.length; layer++) {
            if (config.layers().get(layer) instanceof LayerSpec.Attention attention) {
                long rowBytes = (long) attention.headDim() * format.bytes();
                for (int part = 0; part < 2 * attention.kvHeads(); part++) {
                    long first = kvOffset[layer] + ((long) part * CacheShape.BLOCK_TOKENS + tokens) * rowBytes;
                    block.asSlice(first, (CacheShape.BLOCK_TOKENS - tokens) * rowBytes).fill((byte) 0);
                }
            }
        }
    }

    @Override
    public String toString() {
        return "slots of " + slotBytes + " bytes (recurrent at " + Arrays.toString(recurrentOffset) + ", history at "
                + Arrays.toString(historyOffset) + "), blocks of " + blockBytes + " bytes (" + Arrays.toString(kvOffset) + ")";
    }
}
