package dev.sidewinder.cuda.kernel;

/// The keys and values of one attention layer in the paged cache.
///
/// At `address + block * blockStride + layerOffset` lie the keys of a block of [#BLOCK_TOKENS] tokens,
/// `[kvHeads, 128, headDim]`, and behind them the values in the same shape.
///
/// @param blockStride bytes from block to block, all layers together; a multiple of 16
/// @param layerOffset bytes from the start of a block to this layer's keys; a multiple of 16
/// @param keyScale by which stored keys are multiplied when they are read; 1 for bf16
/// @param valueScale the same for values
public record KvCacheLayer(long address, CacheType type, long blockStride, long layerOffset, int kvHeads, int headDim,
        float keyScale, float valueScale) {

    /// Tokens of a block: the grid of docs/architecture.md.
    public static final int BLOCK_TOKENS = 128;
    /// Copies move this many bytes at a time.
    static final int ALIGNMENT = 16;

    public KvCacheLayer {
        if (address == 0 || kvHeads < 1 || headDim < 1) {
            throw new IllegalArgumentException("a KV cache at 0x%x with %d heads of %d; it needs memory, heads and a head_dim"
                    .formatted(address, kvHeads, headDim));
        }
        if ((address | blockStride | layerOffset) % ALIGNMENT != 0) {
            throw new IllegalArgumentException(
                    "a KV cache at 0x%x, %d bytes from block to block, layer at %d; each must be a multiple of %d"
                            .formatted(address, blockStride, layerOffset, ALIGNMENT));
        }
        if (blockStride < bytesPerBlock(type, kvHeads, headDim)) {
            throw new IllegalArgumentException("KV blocks lie %d bytes apart; keys and values of one layer take %d"
                    .formatted(blockStride, bytesPerBlock(type, kvHeads, headDim)));
        }
        checkScale("key", type, keyScale);
        checkScale("value", type, valueScale);
    }

    private static void checkScale(String what, CacheType type, float scale) {
        if (!(scale > 0) || Float.isInfinite(scale)) {
            throw new IllegalArgumentException("a KV cache with the " + what + " scale " + scale + "; it is finite and above 0");
        }
        if (type == CacheType.BF16 && scale != 1) {
            throw new IllegalArgumentException("a KV cache in bf16 with the " + what + " scale " + scale + "; only e4m3 is scaled");
        }
    }

    public static KvCacheLayer bf16(long address, long blockStride, long layerOffset, int kvHeads, int headDim) {
        return new KvCacheLayer(address, CacheType.BF16, blockStride, layerOffset, kvHeads, headDim, 1, 1);
    }

    /// Bytes that one layer takes of a block.
    public static long bytesPerBlock(CacheType type, int kvHeads, int headDim) {
        return 2L * kvHeads * BLOCK_TOKENS * headDim * type.bytes();
    }
}
