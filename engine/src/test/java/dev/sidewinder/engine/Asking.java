package dev.sidewinder.engine;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// How tokens are asked for, and what there is to get wrong: a column of the table in docs/same-answers.md. Each reports
/// log-probabilities, which are compared as bits.
public enum Asking {
    GREEDY,
    /// Random numbers belong to a position, wherever the tokens in front of it came from.
    SEEDED,
    /// What was said before counts, prompt and answer each in their own way, on both sides of the end of a block.
    PENALISED,
    /// Its reader stops at a text, as the server does at a stop string, and keeps what stands in front of it.
    STOPPED,
    /// A guide and stop tokens hold the answer to a form, as the grammar of a tool's arguments does.
    FORMED;

    private static final int FEWEST_FORMED = 5;
    private static final Set<Integer> STOP_TOKENS = Set.of(9, 20, 31);

    private SamplingParams sampling() {
        return switch (this) {
            case GREEDY -> new SamplingParams(0, 0, 1, 0, 1, 0, 0, Map.of(), List.of(), List.of(), 0, 3);
            case SEEDED, STOPPED -> new SamplingParams(0.9, 40, 0.97, 0.01, 1, 0, 0, Map.of(), List.of(), List.of(), 99, 2);
            case PENALISED -> new SamplingParams(0.8, 0, 1, 0, 1.3, 0.7, 0.5, Map.of(7, 2f), List.of(), List.of(new int[] {5}), 7, 2);
            case FORMED -> new SamplingParams(0.9, 50, 1, 0, 1.1, 0, 0.4, Map.of(), List.of(), List.of(), 3, 1);
        };
    }

    /// One choice, which uses no prefixes.
    GenerationRequest request(int[] prompt, int maxTokens, int vocabSize) {
        return request(prompt, maxTokens, vocabSize, 1);
    }

    GenerationRequest request(int[] prompt, int maxTokens, int vocabSize, int choices) {
        if (this == FORMED) {
            int kind = prompt.length % 30;
            return new GenerationRequest(name(), prompt, maxTokens, FEWEST_FORMED, STOP_TOKENS, choices, -1, sampling(),
                    Optional.of(() -> new PatternGuide(vocabSize, kind)));
        }
        return new GenerationRequest(name(), prompt, maxTokens, 0, Set.of(), choices, -1, sampling());
    }
}
