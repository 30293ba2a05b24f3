package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Optional;

/// A checked body of `/v1/sessions`: at most one of `prompt` and `conversation` is there.
///
/// @param name    empty = one is made up
/// @param ignored fields that had no effect, for the header `x-sidewinder-ignored`
public record SessionRequest(Optional<String> name, Optional<Prompt> prompt, Optional<Conversation> conversation,
        List<JsonNode> tools, List<String> ignored) {

    /// Of a request without a body.
    public static final SessionRequest EMPTY = new SessionRequest(Optional.empty(), Optional.empty(), Optional.empty(), List.of(), List.of());

    public SessionRequest {
        tools = List.copyOf(tools);
        ignored = List.copyOf(ignored);
    }
}
