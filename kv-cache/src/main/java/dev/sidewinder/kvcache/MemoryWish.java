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
public record MemoryWish(Optional<Partition> partition, int[] tokens, int promptTokens, int promiseTokens) {

    /// Of a sequence that uses no prefixes and leaves none: what its tokens are does not matter.
    public static MemoryWish alone(int promiseTokens) {
        return new MemoryWish(Optional.empty(), new int[1], 1, promiseTokens);
    }

    public MemoryWish {
        if (promptTokens < 1 || promptTokens > tokens.length || promiseTokens < 1) {
            throw new IllegalArgumentException("a wish for " + promiseTokens + " tokens with a prompt of " + promptTokens + " in "
                    + tokens.length);
        }
    }
}
