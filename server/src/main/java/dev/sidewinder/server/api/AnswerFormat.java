package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;

/// How the tokens of a chat answer are to be taken apart.
///
/// @param thinking             whether the prompt ends inside the reasoning
/// @param tools                the tools the answer may call; empty = tool calls are text
/// @param parallelCalls        false: the answer ends with its first call
/// @param forceNonemptyContent whether an answer that never left its reasoning is also content
/// @param stops                stop strings
/// @param minTokens            stop strings are not looked for in the text of the first tokens
public record AnswerFormat(boolean thinking, List<JsonNode> tools, boolean parallelCalls, boolean forceNonemptyContent,
        StopOptions stops, int minTokens) {
    public AnswerFormat {
        tools = List.copyOf(tools);
    }
}
