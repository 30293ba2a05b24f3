package dev.sidewinder.server.api;

import java.util.Optional;

/// A checked request of one of the generating routes.
public sealed interface GenerationCall permits ChatCompletionRequest, CompletionRequest, GenerateRequest {

    /// The model as the client named it; empty = the only one.
    Optional<String> model();

    GenerationOptions options();

    /// Sequences the engine will run for it: prompts x n. What a place in the queue is reserved for.
    default int sequences() {
        int prompts = switch (this) {
            case ChatCompletionRequest _, GenerateRequest _ -> 1;
            case CompletionRequest completion -> completion.prompts().size();
        };
        return prompts * options().length().choices();
    }
}
