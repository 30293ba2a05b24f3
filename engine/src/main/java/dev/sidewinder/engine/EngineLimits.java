package dev.sidewinder.engine;

/// Bounds of an engine.
///
/// @param maxSequences     sequences in one step at most
/// @param maxBatchTokens   tokens in one step at most; a multiple of 128
/// @param maxQueuedRequests requests waiting at most
/// @param maxQueuedTokens  prompt tokens waiting at most
/// @param maxModelTokens   prompt and answer of one sequence at most
public record EngineLimits(int maxSequences, int maxBatchTokens, int maxQueuedRequests, long maxQueuedTokens,
        int maxModelTokens) {}
