package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// Reads `tools` and `tool_choice`.
final class ToolReader {

    private final ApiLimits limits;
    private final Problems problems;

    ToolReader(ApiLimits limits, Problems problems) {
        this.limits = limits;
        this.problems = problems;
    }

    /// @return the tools without mistakes, by name, in the order given
    Map<String, JsonNode> tools(JsonNode tools) {
        Map<String, JsonNode> read = new LinkedHashMap<>();
        long schemasBytes = 0;
        for (int i = 0; i < tools.size(); i++) {
            String path = "tools[" + i + "]";
            JsonNode tool = tools.get(i);
            String name = tool(path, tool);
            if (name == null) {
                continue;
            }
            if (read.put(name, tool) != null) {
                problems.add("invalid_value", path + ".function.name", "Two tools are named '" + name + "'.");
            }
            schemasBytes += JsonSize.of(tool.get("function").path("parameters"));
        }
        if (schemasBytes > limits.get(Limit.SCHEMAS_BYTES)) {
            problems.add("invalid_value", "tools", "The schemas of all tools together are larger than "
                    + limits.get(Limit.SCHEMAS_BYTES) + " bytes.");
        }
        return read;
    }

    /// @return its name, or null after a mistake
    private String tool(String path, JsonNode tool) {
        if (!tool.isObject()) {
            problems.wrongType(path, "an object");
            return null;
        }
        JsonNode type = tool.path("type");
        if (!type.isTextual()) {
            if (isAbsent(type)) {
                problems.missing(path + ".type");
            } else {
                problems.wrongType(path + ".type", "a string");
            }
            return null;
        }
        if (!type.textValue().equals("function")) {
            problems.add("unsupported_value", path + ".type", "Only tools of type 'function' are offered.");
            return null;
        }
        JsonNode function = tool.path("function");
        if (!function.isObject()) {
            if (isAbsent(function)) {
                problems.missing(path + ".function");
            } else {
                problems.wrongType(path + ".function", "an object");
            }
            return null;
        }
        return function(path + ".function", function);
    }

    private String function(String path, JsonNode function) {
        JsonNode name = function.path("name");
        if (isAbsent(name)) {
            problems.missing(path + ".name");
            return null;
        }
        if (!name.isTextual()) {
            problems.wrongType(path + ".name", "a string");
            return null;
        }
        if (!ToolName.isValid(name.textValue())) {
            problems.add("invalid_value", path + ".name", "'" + path + ".name' must be " + ToolName.RULE + ".");
            return null;
        }
        checkDescription(path + ".description", function.path("description"));
        checkParameters(path + ".parameters", function.path("parameters"));
        JsonNode asksStrict = function.path("strict");
        if (!isAbsent(asksStrict) && !asksStrict.isBoolean()) {
            problems.wrongType(path + ".strict", "true or false");
        }
        return name.textValue();
    }

    private void checkDescription(String path, JsonNode description) {
        if (isAbsent(description)) {
            return;
        }
        int max = limits.get(Limit.TOOL_DESCRIPTION_BYTES);
        if (!description.isTextual()) {
            problems.wrongType(path, "a string");
        } else if (description.textValue().getBytes(StandardCharsets.UTF_8).length > max) {
            problems.add("string_above_max_length", path, "'" + path + "' is larger than " + max + " bytes.");
        }
    }

    /// Only as much of JSON schema as the template walks: what it would stumble over is refused here, with its path.
    private void checkParameters(String path, JsonNode schema) {
        if (isAbsent(schema)) {
            return;
        }
        if (!schema.isObject()) {
            problems.wrongType(path, "an object");
            return;
        }
        if (JsonSize.exceeds(schema, limits.get(Limit.SCHEMA_BYTES))) {
            problems.add("invalid_value", path, "'" + path + "' is larger than " + limits.get(Limit.SCHEMA_BYTES) + " bytes.");
            return;
        }
        JsonNode properties = schema.path("properties");
        if (!isAbsent(properties) && !properties.isObject()) {
            problems.add("invalid_json_schema", path + ".properties", "'properties' of a schema must be an object.");
            return;
        }
        properties.properties().forEach(property -> {
            if (!property.getValue().isObject() && !property.getValue().isBoolean()) {
                problems.add("invalid_json_schema", path + ".properties." + Printable.cut(property.getKey()),
                        "A property of a schema must be a schema itself.");
            }
        });
        JsonNode required = schema.path("required");
        if (!isAbsent(required) && !required.isArray()) {
            problems.add("invalid_json_schema", path + ".required", "'required' of a schema must be an array.");
        }
    }

    /// What the model may call, after `tool_choice`.
    ///
    /// @param choice   null when absent
    /// @param parallel whether several calls may be made
    ToolOptions choose(JsonNode choice, Map<String, JsonNode> tools, boolean parallel) {
        Chosen chosen = choice == null ? new Chosen(tools, ToolChoice.AUTO) : choose(choice, tools);
        if (chosen.choice().forced() && chosen.tools().isEmpty()) {
            problems.add("invalid_value", "tool_choice", "'tool_choice' asks for a call, and there is no tool to call.");
        }
        return new ToolOptions(List.copyOf(chosen.tools().values()), chosen.choice(), parallel);
    }

    private record Chosen(Map<String, JsonNode> tools, ToolChoice choice) {
        static final Chosen NONE = new Chosen(Map.of(), ToolChoice.AUTO);
    }

    private Chosen choose(JsonNode choice, Map<String, JsonNode> tools) {
        if (!choice.isTextual()) {
            return chooseByObject(choice, tools);
        }
        return switch (choice.textValue()) {
            case "none" -> Chosen.NONE;
            case "auto" -> new Chosen(tools, ToolChoice.AUTO);
            case "required" -> new Chosen(tools, ToolChoice.REQUIRED);
            default -> {
                problems.add("invalid_value", "tool_choice",
                        "'tool_choice' must be none, auto, required, or an object that names a function or allowed tools.");
                yield Chosen.NONE;
            }
        };
    }

    private Chosen chooseByObject(JsonNode choice, Map<String, JsonNode> tools) {
        JsonNode type = choice.path("type");
        if (type.isTextual() && type.textValue().equals("function")) {
            // the OpenAI form nests; the Responses form is flat
            boolean nested = choice.path("function").isObject();
            JsonNode name = nested ? choice.get("function").path("name") : choice.path("name");
            boolean known = checkKnown(nested || isAbsent(name) ? "tool_choice.function.name" : "tool_choice.name", name, tools);
            return known ? new Chosen(tools, new ToolChoice.Named(name.textValue())) : Chosen.NONE;
        }
        if (type.isTextual() && type.textValue().equals("allowed_tools")) {
            boolean nested = choice.path("allowed_tools").isObject();
            return allowed(nested ? "tool_choice.allowed_tools" : "tool_choice",
                    nested ? choice.get("allowed_tools") : choice, tools);
        }
        problems.add("invalid_value", "tool_choice.type", "'tool_choice.type' must be function or allowed_tools.");
        return Chosen.NONE;
    }

    private Chosen allowed(String path, JsonNode allowed, Map<String, JsonNode> tools) {
        JsonNode mode = allowed.path("mode");
        boolean required = mode.isTextual() && mode.textValue().equals("required");
        if (!required && !isAbsent(mode) && !(mode.isTextual() && mode.textValue().equals("auto"))) {
            problems.add("invalid_value", path + ".mode", "'" + path + ".mode' must be auto or required.");
        }
        JsonNode names = allowed.path("tools");
        if (!names.isArray()) {
            problems.wrongType(path + ".tools", "an array");
            return Chosen.NONE;
        }
        Set<String> wanted = new HashSet<>();
        for (int i = 0; i < names.size(); i++) {
            boolean nested = names.get(i).path("function").isObject();
            JsonNode name = nested ? names.get(i).get("function").path("name") : names.get(i).path("name");
            if (!checkKnown(path + ".tools[" + i + "]" + (nested || isAbsent(name) ? ".function" : "") + ".name", name, tools)) {
                return Chosen.NONE;
            }
            wanted.add(name.textValue());
        }
        Map<String, JsonNode> chosen = new LinkedHashMap<>(tools);
        chosen.keySet().retainAll(wanted);
        return new Chosen(chosen, required ? ToolChoice.REQUIRED : ToolChoice.AUTO);
    }

    private boolean checkKnown(String path, JsonNode name, Map<String, JsonNode> tools) {
        if (isAbsent(name)) {
            problems.missing(path);
        } else if (!name.isTextual()) {
            problems.wrongType(path, "a string");
        } else if (!tools.containsKey(name.textValue())) {
            problems.add("invalid_value", path, "'" + path + "' names no tool of this request.");
        } else {
            return true;
        }
        return false;
    }

    private static boolean isAbsent(JsonNode value) {
        return value.isMissingNode() || value.isNull();
    }
}
