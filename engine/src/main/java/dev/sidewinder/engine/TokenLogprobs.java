package dev.sidewinder.engine;

/// Log-probabilities of one position under the model's own distribution (before temperature, penalties and masks).
///
/// @param logprob       of the token that was chosen (or stands in the prompt)
/// @param topTokens     the most likely tokens, best first
/// @param topLogprobs   theirs
public record TokenLogprobs(float logprob, int[] topTokens, float[] topLogprobs) {}
