package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.CacheShape;

/// Bounds of a step and of a sequence.
///
/// @param maxSequences      sequences in one step at most
/// @param maxBatchTokens    tokens in one step at most; holds a decoded token of every sequence and a prompt piece of 128
///                          besides, so that prompts go on however many sequences decode
/// @param maxSequenceTokens prompt and answer of one sequence at most
/// @param tokenGapNanos     between two tokens of a sequence, as far as pieces of prompts decide on it; 0 = any time
public record SchedulerLimits(int maxSequences, int maxBatchTokens, int maxSequenceTokens, long tokenGapNanos) {

    /// Steps are as large as they may be.
    public SchedulerLimits(int maxSequences, int maxBatchTokens, int maxSequenceTokens) {
        this(maxSequences, maxBatchTokens, maxSequenceTokens, 0);
    }

    public SchedulerLimits {
        if (maxSequences < 1 || maxSequenceTokens < 1) {
            throw new IllegalArgumentException("a scheduler needs room for a sequence, got " + maxSequences
                    + " sequences of " + maxSequenceTokens + " tokens");
        }
        if (tokenGapNanos < 0) {
            throw new IllegalArgumentException("a gap of " + tokenGapNanos + " ns between tokens");
        }
        if (maxBatchTokens - CacheShape.BLOCK_TOKENS < maxSequences) {
            throw new IllegalArgumentException("a step of " + maxBatchTokens + " tokens cannot hold a token of each of "
                    + maxSequences + " sequences and a prompt piece of " + CacheShape.BLOCK_TOKENS + " tokens; it needs "
                    + (maxSequences + CacheShape.BLOCK_TOKENS));
        }
    }
}
