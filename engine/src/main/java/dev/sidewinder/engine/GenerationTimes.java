package dev.sidewinder.engine;

/// Moments of a request, `System.nanoTime`, 0 = not yet.
///
/// @param submitted   handed to the engine
/// @param scheduled   first in a batch
/// @param firstToken  first token of any choice sampled
/// @param lastToken   latest token sampled
public record GenerationTimes(long submitted, long scheduled, long firstToken, long lastToken) {}
