package dev.sidewinder.server.api;

import java.util.Optional;

/// A checked body of `/v1/chat/completions`.
public record ChatCompletionRequest(Optional<String> model, Conversation conversation, ToolOptions tools,
        ThinkingOptions thinking, GenerationOptions options) implements GenerationCall {}
