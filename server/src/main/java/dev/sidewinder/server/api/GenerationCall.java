package dev.sidewinder.server.api;

import java.util.Optional;

/// A checked request of one of the generating routes.
public sealed interface GenerationCall permits ChatCompletionRequest, CompletionRequest, GenerateRequest {

    /// The model as the client named it; empty = the only one.
    Optional<String> model();

    GenerationOptions options();
}
