package dev.sidewinder.engine;

import java.util.List;
import java.util.Map;

/// How tokens are chosen. Checked by whoever builds it; see the parameter table in docs/api.md for the ranges.
///
/// @param temperature       0 = greedy
/// @param topK              0 = off
/// @param topP              1 = off
/// @param minP              0 = off
/// @param repetitionPenalty over prompt and generated tokens; 1 = off
/// @param presencePenalty   over generated tokens; 0 = off
/// @param frequencyPenalty  over generated tokens; 0 = off
/// @param logitBias         added to the logit of a token; -100 and below bans it
/// @param allowedTokens     when not empty, everything else is masked
/// @param badWords          token sequences that must not come out
/// @param seed              key of the random stream; choice i of a request uses a stream derived from (seed, i)
/// @param logprobs          -1 = none, otherwise how many alternatives to report beside the chosen token
public record SamplingParams(double temperature, int topK, double topP, double minP, double repetitionPenalty,
        double presencePenalty, double frequencyPenalty, Map<Integer, Float> logitBias, List<Integer> allowedTokens,
        List<int[]> badWords, long seed, int logprobs) {

    public SamplingParams {
        logitBias = Map.copyOf(logitBias);
        allowedTokens = List.copyOf(allowedTokens);
        badWords = List.copyOf(badWords);
    }

    /// Always the most likely token.
    public static SamplingParams greedy() {
        return new SamplingParams(0, 0, 1, 0, 1, 0, 0, Map.of(), List.of(), List.of(), 0, -1);
    }
}
