package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.model.chat.Message;
import java.util.List;
import java.util.Map;

/// What the chat template renders, apart from tools and thinking.
///
/// @param variables            template variables the request sets
/// @param addGenerationPrompt  whether the prompt opens an assistant turn
/// @param continueFinalMessage whether the prompt ends inside the last (assistant) message
public record Conversation(List<Message> messages, Map<String, JsonNode> variables, boolean addGenerationPrompt,
        boolean continueFinalMessage) {
    public Conversation {
        messages = List.copyOf(messages);
        variables = Map.copyOf(variables);
    }
}
