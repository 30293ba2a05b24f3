package dev.sidewinder.model.chat;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Map;

/// What a chat template renders.
///
/// @param tools                the tools as the client sent them (`{"type":"function","function":{…}}`)
/// @param variables            template variables by name, for example `enable_thinking`
/// @param addGenerationPrompt  whether the prompt ends with the opening of an assistant turn
/// @param continueFinalMessage whether the prompt ends inside the last (assistant) message
public record ChatPrompt(List<Message> messages, List<JsonNode> tools, Map<String, JsonNode> variables,
        boolean addGenerationPrompt, boolean continueFinalMessage) {
    public ChatPrompt {
        messages = List.copyOf(messages);
        tools = List.copyOf(tools);
        variables = Map.copyOf(variables);
    }
}
