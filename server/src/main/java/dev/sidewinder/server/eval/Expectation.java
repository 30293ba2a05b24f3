package dev.sidewinder.server.eval;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;

/// What a right answer looks like.
public sealed interface Expectation {

    /// The content is this text, white space around both aside. Whether tools were called does not matter.
    record Content(String text) implements Expectation {}

    /// The same, and no tool was called.
    record ContentWithoutCalls(String text) implements Expectation {}

    /// These tools were called, in this order, with these arguments and no others.
    record ToolCalls(List<Call> calls) implements Expectation {
        public ToolCalls {
            calls = List.copyOf(calls);
        }
    }

    /// The content is JSON text of this value.
    record JsonContent(JsonNode value) implements Expectation {}

    /// @param arguments a JSON object
    record Call(String name, JsonNode arguments) {}
}
