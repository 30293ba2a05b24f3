package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;

/// The tools the model may call in this answer.
///
/// @param tools    as the client sent them; empty when there are none or tool_choice is none
/// @param choice   whether it must
/// @param parallel whether several calls may be made; otherwise generation ends after the first
public record ToolOptions(List<JsonNode> tools, ToolChoice choice, boolean parallel) {
    public ToolOptions {
        tools = List.copyOf(tools);
    }

    /// Whether generation ends after the first call.
    boolean oneCall() {
        return !parallel || choice instanceof ToolChoice.Named;
    }
}
