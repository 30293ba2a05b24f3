package dev.sidewinder.cuda.kernel;

/// The heads of an attention layer.
public record AttentionShape(int queryHeads, int kvHeads, int headDim) {

    /// Query heads that decode takes as one operand of a matrix product.
    static final int HEAD_TILE = 16;
    /// Rows, (token, head) pairs, of a tile of prompt queries.
    static final int TILE_ROWS = 128;
    private static final int LARGEST_HEAD_DIM = 256;

    public AttentionShape {
        if (kvHeads < 1 || queryHeads < 1 || queryHeads % kvHeads != 0) {
            throw new IllegalArgumentException(queryHeads + " query heads over " + kvHeads
                    + " KV heads; the first must be a multiple of the second");
        }
        if (headDim < 1 || headDim > LARGEST_HEAD_DIM) {
            throw new IllegalArgumentException("attention with head_dim " + headDim + "; kernels take 1 to " + LARGEST_HEAD_DIM);
        }
    }

    /// Query heads that share a KV head.
    public int group() {
        return queryHeads / kvHeads;
    }

    /// Whether matrix products serve this shape: head_dim 64, 80 or 128, and up to 128 query heads a KV head. Others take
    /// the plain kernels, which need no plan.
    public boolean isTiled() {
        return (headDim == 64 || headDim == 80 || headDim == 128) && group() <= TILE_ROWS;
    }

    /// Tokens of a tile of prompt queries.
    int tileTokens() {
        return TILE_ROWS / group();
    }

    /// Tiles of query heads, all KV heads together: what decode does for each sequence.
    int units() {
        return kvHeads * Math.ceilDiv(group(), HEAD_TILE);
    }
}
