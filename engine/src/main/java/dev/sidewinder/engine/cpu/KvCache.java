package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.checkpoint.Bf16;
import java.lang.foreign.MemorySegment;

/// Keys and values of one attention layer in blocks of 128 tokens: the layer's part of every block in [CacheMemory].
///
/// In it, for every key/value head: keys `[headDim, 128]`, so that scores of neighbouring tokens are computed side by
/// side, then values `[128, headDim]`; bf16 or fp32 as the arithmetic says. Different blocks may be used by different
/// threads at once; what was never written holds anything.
final class KvCache {

    private static final int BLOCK = CacheShape.BLOCK_TOKENS;

    private final CpuMath math;
    private final MemorySegment data;
    private final CacheMemory memory;
    private final long offset;
    private final boolean bf16;
    private final int headDim;

    /// @param layer index of the layer in the model
    KvCache(CpuRuntime runtime, int layer, int headDim) {
        math = runtime.math();
        bf16 = runtime.arithmetic() == Arithmetic.BF16;
        this.headDim = headDim;
        memory = runtime.cache();
        data = memory.frames();
        offset = memory.layout().kvOffset()[layer];
    }

    private int elementBytes() {
        return bf16 ? 2 : 4;
    }

    /// Bytes of keys, or of values, of one head in one block.
    private long halfBytes() {
        return (long) BLOCK * headDim * elementBytes();
    }

    private long pairBytes() {
        return 2 * halfBytes();
    }

    private long at(int block, int kvHead) {
        return memory.blockAt(block) + offset + kvHead * pairBytes();
    }

    /// Stores key and value of token `index` of a block.
    void write(int block, int kvHead, int index, float[] keys, int keyAt, float[] values, int valueAt) {
        long start = at(block, kvHead);
        long valueStart = start + halfBytes() + (long) index * headDim * elementBytes();
        for (int d = 0; d < headDim; d++) {
            long keyCell = start + (long) (d * BLOCK + index) * elementBytes();
            if (bf16) {
                data.set(JAVA_SHORT, keyCell, Bf16.encode(keys[keyAt + d]));
            } else {
                data.set(JAVA_FLOAT, keyCell, keys[keyAt + d]);
            }
        }
        if (bf16) {
            math.toBf16(values, valueAt, data, valueStart, headDim);
        } else {
            MemorySegment.copy(values, valueAt, data, JAVA_FLOAT, valueStart, headDim);
        }
    }

    /// Widens one head of a block: keys `[headDim, 128]` and the first `tokens` rows of values.
    void read(int block, int kvHead, int tokens, float[] keys, float[] values) {
        long start = at(block, kvHead);
        long valueStart = start + halfBytes();
        if (bf16) {
            math.fromBf16(data, start, keys, 0, BLOCK * headDim);
            math.fromBf16(data, valueStart, values, 0, tokens * headDim);
        } else {
            MemorySegment.copy(data, JAVA_FLOAT, start, keys, 0, BLOCK * headDim);
            MemorySegment.copy(data, JAVA_FLOAT, valueStart, values, 0, tokens * headDim);
        }
    }
}
