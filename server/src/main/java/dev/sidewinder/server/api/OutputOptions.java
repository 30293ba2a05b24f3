package dev.sidewinder.server.api;

/// What an answer reports beside its text.
///
/// @param logprobs          -1 = none, otherwise alternatives per generated token
/// @param promptLogprobs    -1 = none, otherwise alternatives per prompt token
/// @param echo              the text starts with the prompt
/// @param tokenIds          ids of prompt and answer
/// @param promptText        the rendered prompt
/// @param skipSpecialTokens whether special tokens have no text
/// @param cacheExplain      what the prefix cache did
public record OutputOptions(int logprobs, int promptLogprobs, boolean echo, boolean tokenIds, boolean promptText,
        boolean skipSpecialTokens, boolean cacheExplain) {}
