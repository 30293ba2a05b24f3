package dev.sidewinder.kvcache;

/// How much there is to give out.
///
/// @param blocks KV blocks of [#BLOCK_TOKENS] tokens each, over all attention layers together
/// @param slots  recurrent-state slots, one per sequence
public record CacheShape(int blocks, int slots) {

    /// Tokens in a KV block, and the grid on which prompts are cut: see docs/architecture.md.
    public static final int BLOCK_TOKENS = 128;

    public CacheShape {
        if (blocks < 1 || slots < 1) {
            throw new IllegalArgumentException("a cache needs blocks and slots, got " + blocks + " and " + slots);
        }
    }

    /// Blocks that `tokens` tokens occupy.
    public static int blocksFor(int tokens) {
        return Math.ceilDiv(tokens, BLOCK_TOKENS);
    }
}
