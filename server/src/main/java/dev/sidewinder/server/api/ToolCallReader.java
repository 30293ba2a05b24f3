package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.chat.ToolCall;
import java.util.Optional;

/// Reads the calls that a client replays in an assistant message.
final class ToolCallReader {

    private static final int MAX_ID_CHARS = 256;

    private final StrictJson json;
    private final Problems problems;

    ToolCallReader(ApiLimits limits, Problems problems) {
        this.json = new StrictJson(limits.json());
        this.problems = problems;
    }

    Optional<ToolCall> read(String path, JsonNode call) {
        if (!call.isObject()) {
            problems.wrongType(path, "an object");
            return Optional.empty();
        }
        JsonNode type = call.path("type");
        if (!isAbsent(type) && !(type.isTextual() && type.textValue().equals("function"))) {
            problems.add("invalid_value", path + ".type", "'" + path + ".type' must be 'function'.");
            return Optional.empty();
        }
        JsonNode function = call.path("function");
        if (isAbsent(function)) {
            problems.missing(path + ".function");
            return Optional.empty();
        }
        if (!function.isObject()) {
            problems.wrongType(path + ".function", "an object");
            return Optional.empty();
        }
        Optional<String> id = id(path + ".id", call.path("id"));
        Optional<String> name = name(path + ".function.name", function.path("name"));
        Optional<ObjectNode> arguments = arguments(path + ".function.arguments", function.path("arguments"));
        return id.flatMap(i -> name.flatMap(n -> arguments.map(a -> new ToolCall(i, n, a))));
    }

    private Optional<String> id(String path, JsonNode id) {
        if (isAbsent(id)) {
            return Optional.of("");
        }
        if (!id.isTextual()) {
            problems.wrongType(path, "a string");
            return Optional.empty();
        }
        if (id.textValue().length() > MAX_ID_CHARS) {
            problems.add("string_above_max_length", path, "'" + path + "' is longer than " + MAX_ID_CHARS + " characters.");
            return Optional.empty();
        }
        return Optional.of(id.textValue());
    }

    private Optional<String> name(String path, JsonNode name) {
        if (isAbsent(name)) {
            problems.missing(path);
            return Optional.empty();
        }
        if (!name.isTextual()) {
            problems.wrongType(path, "a string");
            return Optional.empty();
        }
        if (!ToolName.isValid(name.textValue())) {
            problems.add("invalid_value", path, "'" + path + "' must be " + ToolName.RULE + ".");
            return Optional.empty();
        }
        return Optional.of(name.textValue());
    }

    /// The template walks a map, so the JSON text that clients send is read here. Blank means no arguments.
    private Optional<ObjectNode> arguments(String path, JsonNode arguments) {
        if (arguments instanceof ObjectNode object) {
            return Optional.of(object);
        }
        if (isAbsent(arguments) || (arguments.isTextual() && arguments.textValue().isBlank())) {
            return Optional.of(JsonNodeFactory.instance.objectNode());
        }
        if (!arguments.isTextual()) {
            problems.wrongType(path, "a string with a JSON object");
            return Optional.empty();
        }
        try {
            return Optional.of(json.readObject(arguments.textValue(), path));
        } catch (ApiException notJson) {
            problems.add("invalid_value", path, notJson.error().message());
            return Optional.empty();
        }
    }

    private static boolean isAbsent(JsonNode value) {
        return value.isMissingNode() || value.isNull();
    }
}
