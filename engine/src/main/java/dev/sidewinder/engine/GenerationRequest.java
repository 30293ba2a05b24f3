package dev.sidewinder.engine;

import dev.sidewinder.model.grammar.TokenGuide;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/// One prompt and how to go on from it.
///
/// @param id             request id, for logs
/// @param prompt         token ids, at least one; not to be changed afterwards
/// @param maxTokens      tokens to generate at most, per choice; 0 only scores the prompt
/// @param minTokens      stop tokens are masked before this many generated tokens
/// @param stopTokens     tokens that end a choice; empty = none (`ignore_eos`)
/// @param choices        independent continuations
/// @param promptLogprobs -1 = none, otherwise how many alternatives to report for each prompt token
/// @param guides         makes what holds each choice to its form; absent = nothing does
public record GenerationRequest(String id, int[] prompt, int maxTokens, int minTokens, Set<Integer> stopTokens,
        int choices, int promptLogprobs, SamplingParams sampling, Optional<Supplier<TokenGuide>> guides) {

    /// Nothing holds the choices to a form.
    public GenerationRequest(String id, int[] prompt, int maxTokens, int minTokens, Set<Integer> stopTokens, int choices,
            int promptLogprobs, SamplingParams sampling) {
        this(id, prompt, maxTokens, minTokens, stopTokens, choices, promptLogprobs, sampling, Optional.empty());
    }

    public GenerationRequest {
        stopTokens = Set.copyOf(stopTokens);
        if (prompt.length == 0 || maxTokens < 0 || minTokens < 0 || choices < 1 || promptLogprobs < -1) {
            throw new IllegalArgumentException("request " + id + " has " + prompt.length + " prompt tokens, maxTokens "
                    + maxTokens + ", minTokens " + minTokens + ", " + choices + " choices, promptLogprobs " + promptLogprobs);
        }
    }

    boolean scoresPrompt() {
        return promptLogprobs >= 0;
    }
}
