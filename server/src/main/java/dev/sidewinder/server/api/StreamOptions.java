package dev.sidewinder.server.api;

/// How an answer is streamed.
///
/// @param enabled         whether it is
/// @param includeUsage    a last chunk with usage
/// @param continuousUsage usage on every chunk
/// @param intervalTokens  tokens per chunk; the first token is always sent at once
public record StreamOptions(boolean enabled, boolean includeUsage, boolean continuousUsage, int intervalTokens) {}
