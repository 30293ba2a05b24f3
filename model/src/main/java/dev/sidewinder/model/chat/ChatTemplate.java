package dev.sidewinder.model.chat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.chat.template.Template;
import dev.sidewinder.model.tokenizer.TextRun;
import java.time.Clock;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/// The chat template of a checkpoint. Safe for use by many threads.
///
/// A template reads `messages`, `tools` (none when there are none), `documents` (none), `add_generation_prompt`, the
/// names of special tokens, and the variables of the request. A message is a dict as transformers gets it: `role` and
/// `content` always, `reasoning_content`, `tool_calls` and `tool_call_id` where the message has them.
public final class ChatTemplate {
    /// What only we set, never a request.
    private static final Set<String> RESERVED = Set.of("messages", "tools", "documents", "add_generation_prompt");

    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    private final Template template;
    private final Map<String, String> specialTokens;
    private final Clock clock;

    private ChatTemplate(Template template, Map<String, String> specialTokens, Clock clock) {
        this.template = template;
        this.specialTokens = Map.copyOf(specialTokens);
        this.clock = clock;
    }

    /// Compiles a template that names its special tokens itself.
    ///
    /// @throws dev.sidewinder.model.checkpoint.CheckpointException when it uses what we do not know, with the line
    public static ChatTemplate compile(String name, String source) {
        return compile(name, source, Map.of());
    }

    /// Compiles a template.
    ///
    /// @param specialTokens variable to spelling, for example `bos_token` to `<s>`; their text counts as the template's
    /// @throws dev.sidewinder.model.checkpoint.CheckpointException when it uses what we do not know, with the line
    public static ChatTemplate compile(String name, String source, Map<String, String> specialTokens) {
        return compile(name, source, specialTokens, Clock.systemDefaultZone());
    }

    /// Compiles a template that takes the date from a given clock.
    ///
    /// @throws dev.sidewinder.model.checkpoint.CheckpointException when it uses what we do not know, with the line
    public static ChatTemplate compile(String name, String source, Map<String, String> specialTokens, Clock clock) {
        return new ChatTemplate(Template.compile(name, source), specialTokens, clock);
    }

    /// Renders a conversation into runs: text that the template wrote, and text that came from the conversation.
    ///
    /// @throws ChatTemplateException when the template refuses the conversation or exceeds its budgets
    public List<TextRun> render(ChatPrompt prompt) {
        if (!prompt.continueFinalMessage()) {
            return template.render(variables(prompt, null), specialTokens, clock);
        }
        FinalMessage end = FinalMessage.of(prompt);
        return end.cut(template.render(variables(prompt, end.marker()), specialTokens, clock));
    }

    /// Whether the template reads a variable of this name.
    public boolean reads(String variable) {
        return template.reads(variable);
    }

    /// @param marker what is added to the content of the last message, or null
    private ObjectNode variables(ChatPrompt prompt, String marker) {
        ObjectNode variables = JSON.objectNode();
        prompt.variables().forEach((name, value) -> {
            if (RESERVED.contains(name) || specialTokens.containsKey(name)) {
                throw new ChatTemplateException("the template variable '" + name + "' cannot be set by a request");
            }
            variables.set(name, value);
        });
        ArrayNode messages = variables.putArray("messages");
        for (int i = 0; i < prompt.messages().size(); i++) {
            boolean marked = marker != null && i == prompt.messages().size() - 1;
            messages.add(message(prompt.messages().get(i), marked ? marker : ""));
        }
        variables.set("tools", tools(prompt.tools()));
        variables.putNull("documents");
        variables.put("add_generation_prompt", prompt.addGenerationPrompt());
        return variables;
    }

    private static JsonNode tools(List<JsonNode> tools) {
        return tools.isEmpty() ? JSON.nullNode() : JSON.arrayNode().addAll(tools);
    }

    private static ObjectNode message(Message message, String marker) {
        ObjectNode node = JSON.objectNode();
        node.put("role", message.role().name().toLowerCase(Locale.ROOT));
        boolean absent = message.content() == null && marker.isEmpty();
        node.put("content", absent ? null : (message.content() == null ? "" : message.content()) + marker);
        if (message.reasoning() != null) {
            node.put("reasoning_content", message.reasoning());
        }
        if (!message.toolCalls().isEmpty()) {
            ArrayNode calls = node.putArray("tool_calls");
            message.toolCalls().forEach(call -> calls.add(toolCall(call)));
        }
        if (message.toolCallId() != null) {
            node.put("tool_call_id", message.toolCallId());
        }
        return node;
    }

    private static ObjectNode toolCall(ToolCall call) {
        ObjectNode node = JSON.objectNode();
        if (call.id() != null && !call.id().isEmpty()) {
            node.put("id", call.id());
        }
        node.put("type", "function");
        ObjectNode function = node.putObject("function");
        function.put("name", call.name());
        function.set("arguments", call.arguments());
        return node;
    }
}
