package dev.sidewinder.server.api;

import java.util.OptionalInt;

/// How much to generate.
///
/// @param maxTokens tokens per choice at most; empty = whatever fits
/// @param minTokens stop tokens and stop strings do not count before this many
/// @param choices   continuations of every prompt
public record LengthOptions(OptionalInt maxTokens, int minTokens, int choices) {}
