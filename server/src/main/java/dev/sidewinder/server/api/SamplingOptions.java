package dev.sidewinder.server.api;

import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;

/// How tokens are chosen, as far as the request says; the model's generation config fills the gaps.
public record SamplingOptions(OptionalDouble temperature, OptionalDouble topP, OptionalInt topK, double minP,
        double repetitionPenalty, double presencePenalty, double frequencyPenalty, OptionalLong seed,
        Map<Integer, Float> logitBias, List<Integer> allowedTokens, List<String> badWords) {
    public SamplingOptions {
        logitBias = Map.copyOf(logitBias);
        allowedTokens = List.copyOf(allowedTokens);
        badWords = List.copyOf(badWords);
    }
}
