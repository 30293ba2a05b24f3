package dev.sidewinder.engine;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.scheduler.SchedulerLimits;
import java.time.Duration;

/// Bounds of an engine.
///
/// @param maxSequences      sequences in one step at most
/// @param maxBatchTokens    tokens in one step at most; at least `maxSequences + 128`, so that prompts go on however many
///                          sequences decode
/// @param maxQueuedRequests sequences waiting at most, reserved places included
/// @param maxQueuedTokens   prompt tokens waiting at most, reserved places included
/// @param maxModelTokens    prompt and answer of one sequence at most
/// @param tokenGap          between two tokens of a sequence: beside sequences that generate, a step takes as much of prompts as
///                          fits into this time, a block of 128 tokens at least; zero = as much as fits into the step
public record EngineLimits(int maxSequences, int maxBatchTokens, int maxQueuedRequests, long maxQueuedTokens,
        int maxModelTokens, Timeouts timeouts, Duration tokenGap) {

    /// Text at this pace reads as it comes, and a step of this length is long enough to be efficient.
    public static final Duration DEFAULT_TOKEN_GAP = Duration.ofMillis(50);

    /// Far above any real queue, and small enough that counting never overflows.
    private static final int MOST_QUEUED_REQUESTS = 1 << 20;
    private static final long MOST_QUEUED_TOKENS = 1L << 38;
    private static final long MOST_TOKEN_GAP_MILLIS = 3_600_000;

    public EngineLimits {
        requireBetween("maxSequences", maxSequences, 1, 1 << 16);
        requireBetween("maxBatchTokens", maxBatchTokens, maxSequences + (long) CacheShape.BLOCK_TOKENS, 1 << 20);
        requireBetween("maxQueuedRequests", maxQueuedRequests, 1, MOST_QUEUED_REQUESTS);
        requireBetween("maxQueuedTokens", maxQueuedTokens, 1, MOST_QUEUED_TOKENS);
        requireBetween("maxModelTokens", maxModelTokens, 1, Integer.MAX_VALUE);
        requireBetween("tokenGap in milliseconds", tokenGap.toMillis(), 0, MOST_TOKEN_GAP_MILLIS);
    }

    public EngineLimits(int maxSequences, int maxBatchTokens, int maxQueuedRequests, long maxQueuedTokens,
            int maxModelTokens) {
        this(maxSequences, maxBatchTokens, maxQueuedRequests, maxQueuedTokens, maxModelTokens, Timeouts.DEFAULT, DEFAULT_TOKEN_GAP);
    }

    SchedulerLimits forScheduler() {
        return new SchedulerLimits(maxSequences, maxBatchTokens, maxModelTokens, tokenGap.toNanos());
    }

    private static void requireBetween(String name, long value, long least, long most) {
        if (value < least || value > most) {
            throw new IllegalArgumentException(name + " is " + value + "; it must be between " + least + " and " + most);
        }
    }
}
