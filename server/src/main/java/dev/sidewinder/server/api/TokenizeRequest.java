package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Optional;

/// A checked body of `/tokenize`: exactly one of `prompt` and `conversation` is there.
///
/// @param addSpecialTokens whether the post-processor adds its tokens to a plain prompt
/// @param returnTokenStrs  whether the answer spells the tokens
/// @param ignored          fields that had no effect, for the header `x-sidewinder-ignored`
public record TokenizeRequest(Optional<String> model, Optional<String> prompt, Optional<Conversation> conversation,
        List<JsonNode> tools, boolean addSpecialTokens, boolean returnTokenStrs, List<String> ignored) {
    public TokenizeRequest {
        tools = List.copyOf(tools);
        ignored = List.copyOf(ignored);
    }
}
