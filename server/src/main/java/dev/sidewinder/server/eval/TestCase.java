package dev.sidewinder.server.eval;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Optional;

/// One question with its right answer.
///
/// @param id        unique in its set
/// @param task      what it tests; results are told task by task
/// @param messages  array of OpenAI messages
/// @param tools     array of OpenAI tools
/// @param thinking  whether the model reasons first; empty leaves it to the server
/// @param maxTokens of the answer, reasoning included
public record TestCase(String id, String task, JsonNode messages, Optional<JsonNode> tools, Optional<Boolean> thinking,
        int maxTokens, Expectation expected) {}
