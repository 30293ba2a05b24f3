package dev.sidewinder.server.api;

import java.util.Optional;

/// A checked body of `/generate`.
public record GenerateRequest(Optional<String> model, Prompt prompt, GenerationOptions options) implements GenerationCall {}
