package dev.sidewinder.server.api;

/// What the ranges of the parameter table depend on.
///
/// @param maxModelTokens prompt and answer of one sequence at most
/// @param vocabSize      token ids are in `[0, vocabSize)`
public record Bounds(ApiLimits limits, int maxModelTokens, int vocabSize) {}
