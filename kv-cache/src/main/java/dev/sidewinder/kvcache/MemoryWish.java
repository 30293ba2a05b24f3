package dev.sidewinder.kvcache;

import java.util.Optional;

/// What a sequence asks for when it is to begin.
///
/// @param partition     whose prefixes it may use and leave its own to; empty = it uses none and leaves none, as for requests
///                      that want the log-probabilities of their prompt
/// @param tokens        begins with the prompt; read only
/// @param promptTokens  length of the prompt; its last token is always computed, so that there are logits
/// @param promiseTokens tokens for which blocks are promised, at least the prompt's first piece; with all that the sequence
///                      may ever have it cannot run out of blocks
/// @param leastTokens   where there is no room for all that: tokens behind the reused ones for which blocks are promised at least;
///                      0 = all or nothing
/// @param spareBlocks   that have to be left for others besides, not promised to anybody
public record MemoryWish(Optional<Partition> partition, int[] tokens, int promptTokens, int promiseTokens, int leastTokens,
        int spareBlocks) {

    /// All or nothing, with nothing left for others.
    public MemoryWish(Optional<Partition> partition, int[] tokens, int promptTokens, int promiseTokens) {
        this(partition, tokens, promptTokens, promiseTokens, 0, 0);
    }

    /// Of a sequence that uses no prefixes and leaves none: what its tokens are does not matter.
    public static MemoryWish alone(int promiseTokens) {
        return new MemoryWish(Optional.empty(), new int[1], 1, promiseTokens);
    }

    public MemoryWish {
        if (promptTokens < 1 || promptTokens > tokens.length || promiseTokens < 1 || leastTokens < 0 || spareBlocks < 0) {
            throw new IllegalArgumentException("a wish for " + promiseTokens + " tokens, at least " + leastTokens + ", with a prompt of "
                    + promptTokens + " in " + tokens.length + ", that leaves " + spareBlocks + " blocks");
        }
    }

    /// Blocks of its own that it is promised at least, when `blocks` are wished for.
    int leastBlocks(int blocks) {
        return leastTokens == 0 ? blocks : Math.min(blocks, CacheShape.blocksFor(leastTokens));
    }
}
