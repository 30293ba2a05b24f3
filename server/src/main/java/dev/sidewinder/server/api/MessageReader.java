package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.model.chat.Message;
import dev.sidewinder.model.chat.ReasoningTags;
import dev.sidewinder.model.chat.ToolCall;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/// Reads `messages` in all the forms that clients send into one form.
final class MessageReader {

    private static final Set<String> USER_PARTS = Set.of("text", "input_text");
    private static final Set<String> ASSISTANT_PARTS = Set.of("text", "input_text", "output_text", "refusal");
    private static final Set<String> OTHER_MEDIA = Set.of("image", "image_url", "input_image", "audio", "audio_url",
            "input_audio", "file", "input_file", "video", "video_url", "input_video");
    private static final int MAX_NAME_CHARS = 64;
    private static final int MAX_CALL_ID_CHARS = 256;

    private final ApiLimits limits;
    private final Problems problems;
    private final boolean begins;

    /// @param begins whether the messages are a whole conversation; otherwise they go on with one that is elsewhere
    MessageReader(ApiLimits limits, Problems problems, boolean begins) {
        this.begins = begins;
        this.limits = limits;
        this.problems = problems;
    }

    List<Message> read(JsonNode messages) {
        List<Message> read = new ArrayList<>(messages.size());
        for (int i = 0; i < messages.size(); i++) {
            String path = "messages[" + i + "]";
            JsonNode message = messages.get(i);
            if (message.isObject()) {
                Message one = message(path, message);
                if (one != null) {
                    read.add(one);
                }
            } else {
                problems.wrongType(path, "an object");
            }
        }
        if (begins && !problems.any()) {
            checkOpening(read);
        }
        return read;
    }

    /// A run of tool results needs a turn before it: the template would leave the run unopened.
    private void checkOpening(List<Message> messages) {
        int first = !messages.isEmpty() && messages.getFirst().role() == Message.Role.SYSTEM ? 1 : 0;
        if (first < messages.size() && messages.get(first).role() == Message.Role.TOOL) {
            problems.add("invalid_value", "messages[" + first + "].role",
                    "A conversation must not begin with a tool message; send the assistant's call before it.");
        }
    }

    /// @return null when a mistake keeps it from being read
    private Message message(String path, JsonNode message) {
        JsonNode role = message.path("role");
        if (role.isMissingNode() || role.isNull()) {
            problems.missing(path + ".role");
            return null;
        }
        if (!role.isTextual()) {
            problems.wrongType(path + ".role", "a string");
            return null;
        }
        checkText(path + ".name", message.path("name"), MAX_NAME_CHARS);
        return switch (role.textValue()) {
            case "system", "developer" -> plain(Message.Role.SYSTEM, path, message);
            case "user" -> plain(Message.Role.USER, path, message);
            case "assistant" -> assistant(path, message);
            case "tool" -> tool(path, message);
            case "function" -> {
                problems.add("unsupported_value", path + ".role", "The role 'function' is withdrawn; use 'tool'.");
                yield null;
            }
            default -> {
                problems.add("invalid_value", path + ".role",
                        "'" + path + ".role' must be one of system, developer, user, assistant, tool.");
                yield null;
            }
        };
    }

    private Message plain(Message.Role role, String path, JsonNode message) {
        String content = requiredContent(path, message);
        return content == null ? null : new Message(role, content, null, List.of(), null);
    }

    private Message tool(String path, JsonNode message) {
        JsonNode id = message.path("tool_call_id");
        if (id.isMissingNode() || id.isNull()) {
            problems.missing(path + ".tool_call_id");
            return null;
        }
        boolean idFits = checkText(path + ".tool_call_id", id, MAX_CALL_ID_CHARS);
        String content = requiredContent(path, message);
        return content == null || !idFits ? null : Message.tool(id.textValue(), content);
    }

    private Message assistant(String path, JsonNode message) {
        JsonNode content = message.path("content");
        String text = isAbsent(content) ? null : text(path + ".content", content, ASSISTANT_PARTS);
        String reasoning = reasoning(path, message);
        List<ToolCall> calls = toolCalls(path + ".tool_calls", message.path("tool_calls"));
        if (text != null) {
            ReasoningTags.Parts split = ReasoningTags.split(text);
            text = split.content();
            reasoning = reasoning == null ? split.reasoning() : reasoning;
        }
        return new Message(Message.Role.ASSISTANT, text, reasoning, calls, null);
    }

    /// Clients know it under two names. Equal texts count once; when they differ `reasoning` wins.
    private String reasoning(String path, JsonNode message) {
        String found = null;
        for (String name : List.of("reasoning_content", "reasoning")) {
            JsonNode value = message.path(name);
            if (isAbsent(value)) {
                continue;
            }
            if (!value.isTextual()) {
                problems.wrongType(path + "." + name, "a string");
            } else if (!value.textValue().isBlank()) {
                found = value.textValue();
            }
        }
        return found;
    }

    private String requiredContent(String path, JsonNode message) {
        JsonNode content = message.path("content");
        if (isAbsent(content)) {
            problems.missing(path + ".content");
            return null;
        }
        return text(path + ".content", content, USER_PARTS);
    }

    /// @return null when a mistake keeps it from being read
    private String text(String path, JsonNode content, Set<String> partTypes) {
        if (content.isTextual()) {
            return content.textValue();
        }
        if (!content.isArray()) {
            problems.wrongType(path, "a string or an array of parts");
            return null;
        }
        int maxParts = limits.get(Limit.PARTS_PER_MESSAGE);
        if (content.size() > maxParts) {
            problems.add("array_above_max_length", path, "'" + path + "' has " + content.size()
                    + " parts; the maximum is " + maxParts + ".");
            return null;
        }
        var joined = new StringBuilder();
        for (int i = 0; i < content.size(); i++) {
            String part = part(path + "[" + i + "]", content.get(i), partTypes);
            if (part == null) {
                return null;
            }
            joined.append(part);
        }
        return joined.toString();
    }

    private String part(String path, JsonNode part, Set<String> types) {
        if (!part.isObject()) {
            problems.wrongType(path, "an object");
            return null;
        }
        JsonNode type = part.path("type");
        if (isAbsent(type)) {
            problems.missing(path + ".type");
            return null;
        }
        if (!type.isTextual()) {
            problems.wrongType(path + ".type", "a string");
            return null;
        }
        String name = type.textValue();
        if (!types.contains(name)) {
            if (OTHER_MEDIA.contains(name)) {
                problems.add("unsupported_value", path + ".type", "This model reads text only; leave out the part of type '"
                        + name + "'.");
            } else {
                problems.add("invalid_value", path + ".type", "A part of type '" + Printable.cut(name)
                        + "' is not known here; use 'text'.");
            }
            return null;
        }
        String field = name.equals("refusal") ? "refusal" : "text";
        JsonNode text = part.path(field);
        if (isAbsent(text)) {
            problems.missing(path + "." + field);
            return null;
        }
        if (!text.isTextual()) {
            problems.wrongType(path + "." + field, "a string");
            return null;
        }
        return text.textValue();
    }

    private List<ToolCall> toolCalls(String path, JsonNode calls) {
        if (isAbsent(calls)) {
            return List.of();
        }
        if (!calls.isArray()) {
            problems.wrongType(path, "an array");
            return List.of();
        }
        int maxCalls = limits.get(Limit.PARTS_PER_MESSAGE);
        if (calls.size() > maxCalls) {
            problems.add("array_above_max_length", path, "'" + path + "' has " + calls.size() + " entries; the maximum is "
                    + maxCalls + ".");
            return List.of();
        }
        var reader = new ToolCallReader(limits, problems);
        List<ToolCall> read = new ArrayList<>(calls.size());
        for (int i = 0; i < calls.size(); i++) {
            reader.read(path + "[" + i + "]", calls.get(i)).ifPresent(read::add);
        }
        return read;
    }

    private boolean checkText(String path, JsonNode value, int maxChars) {
        if (isAbsent(value)) {
            return true;
        }
        if (!value.isTextual()) {
            problems.wrongType(path, "a string");
            return false;
        }
        String text = value.textValue();
        if (text.codePointCount(0, text.length()) > maxChars) {
            problems.add("string_above_max_length", path, "'" + path + "' is longer than " + maxChars + " characters.");
            return false;
        }
        return true;
    }

    private static boolean isAbsent(JsonNode value) {
        return value.isMissingNode() || value.isNull();
    }
}
