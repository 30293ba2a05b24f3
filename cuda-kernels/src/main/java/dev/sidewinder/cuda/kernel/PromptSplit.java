package dev.sidewinder.cuda.kernel;

/// How attention of prompts is shared out; `prompt_cells.cuh` says what it means. Results depend on `segmentTokens` and on
/// nothing else here.
///
/// @param workers       blocks that take cells one after another, as many as the device holds at once
/// @param slots         places for what parts of contexts leave to each other; 0: no context is split
/// @param segmentTokens tokens of a context that one online softmax walks: a power of two, at least a block
public record PromptSplit(int workers, int slots, int segmentTokens) {

    /// What `prompt_cells.cuh` says for and against it.
    public static final int SEGMENT_TOKENS = 8192;

    /// A split as fine as it may get has twice as many cells as it needs to have: with 4 parts for each worker the last ones
    /// to run keep the others waiting for an eighth of the time at most.
    private static final int SLOTS_A_WORKER = 8;
    /// The next ticket, and blocks that have ended.
    private static final int COUNTERS_OF_THE_LAUNCH = 2;

    public PromptSplit {
        if (workers < 1 || slots < 0) {
            throw new IllegalArgumentException("attention of prompts among " + workers + " workers with " + slots + " slots");
        }
        if (segmentTokens < KvCacheLayer.BLOCK_TOKENS || Integer.bitCount(segmentTokens) != 1) {
            throw new IllegalArgumentException("attention of prompts in segments of " + segmentTokens
                    + " tokens; they are a power of two from " + KvCacheLayer.BLOCK_TOKENS + " on");
        }
    }

    /// For pieces of up to `rows` rows together, of contexts of up to `maxBlocks` blocks.
    public static PromptSplit of(int workers, AttentionShape shape, int sequences, int rows, int maxBlocks) {
        long segments = segments(maxBlocks, SEGMENT_TOKENS);
        long cells = AttentionPlan.mostTiles(shape, sequences, rows) * segments * shape.kvHeads();
        long slots = segments == 1 ? 0 : Math.min(cells, (long) SLOTS_A_WORKER * workers);
        return new PromptSplit(workers, Math.toIntExact(slots), SEGMENT_TOKENS);
    }

    private static long segments(int maxBlocks, int segmentTokens) {
        return Math.max(1, Math.ceilDiv((long) maxBlocks * KvCacheLayer.BLOCK_TOKENS, segmentTokens));
    }

    /// Segments of a context of `maxBlocks` blocks.
    long segments(int maxBlocks) {
        return segments(maxBlocks, segmentTokens);
    }

    /// Nodes that a walk through `maxBlocks` blocks keeps at once: one for each bit that is set in the number of a segment, and
    /// the segment's own.
    int stackNodes(int maxBlocks) {
        long segments = segments(maxBlocks);
        if (segments == 1) {
            return 0;
        }
        // The number up to `last` with the most bits set: last itself, or a bit of it cleared and all below it set.
        long last = segments - 1;
        int most = Long.bitCount(last);
        for (long bit = Long.highestOneBit(last); bit > 0; bit >>= 1) {
            if ((last & bit) != 0) {
                most = Math.max(most, Long.bitCount(last & -(bit << 1)) + Long.bitCount(bit - 1));
            }
        }
        return most + 1;
    }

    /// Bytes of [PromptWorkspace#nodes] for contexts of up to `maxBlocks` blocks.
    public long nodeBytes(AttentionShape shape, int maxBlocks) {
        if (!shape.isTiled() || segments(maxBlocks) == 1) {
            return 0;
        }
        return (slots + (long) workers * stackNodes(maxBlocks)) * nodeBytes(shape);
    }

    /// Bytes of what walking a segment leaves of a tile: values, and a maximum and a sum a row, which the four threads that
    /// share a row hold each for itself.
    private static long nodeBytes(AttentionShape shape) {
        return (long) AttentionShape.TILE_ROWS * (shape.headDim() + 8) * Float.BYTES;
    }

    /// Bytes of [PromptWorkspace#counters].
    public long counterBytes() {
        return (long) (COUNTERS_OF_THE_LAUNCH + slots) * Integer.BYTES;
    }

    /// Scratch memory of attention over prompts; layers that run one after another share it.
    ///
    /// @param nodes     [#nodeBytes]
    /// @param counters  int32, [#counterBytes]; zero before the first launch, and zero again after each
    /// @param maxBlocks of the longest context that there is room for
    public record PromptWorkspace(long nodes, long counters, int maxBlocks) {}
}
