package dev.sidewinder.engine;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.scheduler.SchedulerLimits;

/// Bounds of an engine.
///
/// @param maxSequences      sequences in one step at most
/// @param maxBatchTokens    tokens in one step at most; at least `maxSequences + 128`, so that prompts go on however many
///                          sequences decode
/// @param maxQueuedRequests sequences waiting at most, reserved places included
/// @param maxQueuedTokens   prompt tokens waiting at most, reserved places included
/// @param maxModelTokens    prompt and answer of one sequence at most
public record EngineLimits(int maxSequences, int maxBatchTokens, int maxQueuedRequests, long maxQueuedTokens,
        int maxModelTokens, Timeouts timeouts) {

    /// Far above any real queue, and small enough that counting never overflows.
    private static final int MOST_QUEUED_REQUESTS = 1 << 20;
    private static final long MOST_QUEUED_TOKENS = 1L << 38;

    public EngineLimits {
        requireBetween("maxSequences", maxSequences, 1, 1 << 16);
        requireBetween("maxBatchTokens", maxBatchTokens, maxSequences + (long) CacheShape.BLOCK_TOKENS, 1 << 20);
        requireBetween("maxQueuedRequests", maxQueuedRequests, 1, MOST_QUEUED_REQUESTS);
        requireBetween("maxQueuedTokens", maxQueuedTokens, 1, MOST_QUEUED_TOKENS);
        requireBetween("maxModelTokens", maxModelTokens, 1, Integer.MAX_VALUE);
    }

    public EngineLimits(int maxSequences, int maxBatchTokens, int maxQueuedRequests, long maxQueuedTokens,
            int maxModelTokens) {
        this(maxSequences, maxBatchTokens, maxQueuedRequests, maxQueuedTokens, maxModelTokens, Timeouts.DEFAULT);
    }

    /// Rows of logits that a step asks for at most: one per sequence, and one piece of a prompt that is scored.
    public int maxLogitRows() {
        return maxSequences + CacheShape.BLOCK_TOKENS - 1;
    }

    SchedulerLimits forScheduler() {
        return new SchedulerLimits(maxSequences, maxBatchTokens, maxModelTokens);
    }

    private static void requireBetween(String name, long value, long least, long most) {
        if (value < least || value > most) {
            throw new IllegalArgumentException(name + " is " + value + "; it must be between " + least + " and " + most);
        }
    }
}
