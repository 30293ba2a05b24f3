package dev.sidewinder.server.eval;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// Reads one line of a test set. Nothing is guessed: what is missing, unknown or of another type is an error.
final class TestCaseReader {

    private static final Set<String> FIELDS = Set.of("id", "task", "messages", "tools", "enable_thinking", "max_tokens",
            "expect");
    private static final Set<String> EXPECTATIONS = Set.of("content", "no_tool_calls", "tool_calls", "json");
    private static final Set<String> CALL_FIELDS = Set.of("name", "arguments");

    private TestCaseReader() {}

    /// @throws EvalException that says what is wrong, without the place
    static TestCase read(String line) {
        JsonNode test = parse(line);
        requireKnown(test, "the case", FIELDS);
        JsonNode messages = test.path("messages");
        require(messages.isArray() && !messages.isEmpty(), "\"messages\" is no list of messages");
        JsonNode tools = test.path("tools");
        require(tools.isMissingNode() || tools.isArray() && !tools.isEmpty(), "\"tools\" is no list of tools");
        JsonNode thinking = test.path("enable_thinking");
        require(thinking.isMissingNode() || thinking.isBoolean(), "\"enable_thinking\" is neither true nor false");
        JsonNode maxTokens = test.path("max_tokens");
        require(maxTokens.isInt() && maxTokens.intValue() > 0, "\"max_tokens\" is no positive number");
        return new TestCase(text(test, "id"), text(test, "task"), messages,
                tools.isMissingNode() ? Optional.empty() : Optional.of(tools),
                thinking.isMissingNode() ? Optional.empty() : Optional.of(thinking.booleanValue()),
                maxTokens.intValue(), expectation(test.path("expect")));
    }

    private static JsonNode parse(String line) {
        JsonNode test;
        try {
            test = JsonText.parseOrFail(line);
        } catch (JsonProcessingException e) {
            throw new EvalException("is no JSON: " + e.getOriginalMessage().lines().findFirst().orElse(""));
        }
        require(test.isObject(), "is no JSON object");
        return test;
    }

    private static Expectation expectation(JsonNode expect) {
        require(expect.isObject() && !expect.isEmpty(), "\"expect\" is no object with what is expected");
        requireKnown(expect, "\"expect\"", EXPECTATIONS);
        if (expect.has("content")) {
            boolean withoutCalls = expect.has("no_tool_calls");
            require(expect.size() == (withoutCalls ? 2 : 1), "\"expect\" has more than one kind of answer");
            require(!withoutCalls || expect.get("no_tool_calls").equals(
                    BooleanNode.TRUE), "\"no_tool_calls\" can only be true");
            require(expect.get("content").isTextual(), "\"content\" is no text");
            String text = expect.get("content").textValue();
            return withoutCalls ? new Expectation.ContentWithoutCalls(text) : new Expectation.Content(text);
        }
        require(expect.size() == 1, "\"expect\" has more than one kind of answer");
        if (expect.has("json")) {
            return new Expectation.JsonContent(expect.get("json"));
        }
        require(expect.has("tool_calls"), "\"no_tool_calls\" stands only beside \"content\"");
        return calls(expect.get("tool_calls"));
    }

    private static Expectation calls(JsonNode list) {
        require(list.isArray() && !list.isEmpty(), "\"tool_calls\" is no list of calls");
        List<Expectation.Call> calls = new ArrayList<>();
        for (JsonNode call : list) {
            require(call.isObject(), "a tool call is no object");
            requireKnown(call, "a tool call", CALL_FIELDS);
            require(call.path("arguments").isObject(), "\"arguments\" of a tool call is no object");
            calls.add(new Expectation.Call(text(call, "name"), call.get("arguments")));
        }
        return new Expectation.ToolCalls(calls);
    }

    private static String text(JsonNode object, String field) {
        String text = object.path(field).asText("");
        require(object.path(field).isTextual() && !text.isBlank(), "\"" + field + "\" is missing or no text");
        return text;
    }

    private static void requireKnown(JsonNode object, String what, Set<String> known) {
        object.fieldNames().forEachRemaining(name -> require(known.contains(name),
                what + " has a field \"" + name + "\"; known are " + known.stream().sorted().toList()));
    }

    private static void require(boolean holds, String problem) {
        if (!holds) {
            throw new EvalException(problem);
        }
    }
}
