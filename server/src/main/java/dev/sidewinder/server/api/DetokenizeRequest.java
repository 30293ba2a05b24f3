package dev.sidewinder.server.api;

import java.util.List;
import java.util.Optional;

/// A checked body of `/detokenize`.
///
/// @param tokens  ids in `[0, vocabSize)`
/// @param ignored fields that had no effect, for the header `x-sidewinder-ignored`
public record DetokenizeRequest(Optional<String> model, List<Integer> tokens, boolean skipSpecialTokens,
        List<String> ignored) {
    public DetokenizeRequest {
        tokens = List.copyOf(tokens);
        ignored = List.copyOf(ignored);
    }
}
