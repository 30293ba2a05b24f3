package dev.sidewinder.server.api;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/// A checked body of `/v1/completions`.
///
/// @param truncatePromptTokens keep the last tokens of every prompt: this many, or with -1 what fits
public record CompletionRequest(Optional<String> model, List<Prompt> prompts, OptionalInt truncatePromptTokens,
        GenerationOptions options) implements GenerationCall {
    public CompletionRequest {
        prompts = List.copyOf(prompts);
    }
}
