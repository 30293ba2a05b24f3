package dev.sidewinder.model.chat;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.tokenizer.TextRun;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// The chat template of `models/tiny` against what Python's jinja2 made of it, and against the ids that the model was
/// trained on (`models/tiny/train/record_renderings.py` renews both).
class TinyTemplateTest {
    private static final Path FOLDER = Path.of("../models/tiny");
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private static ChatTemplate template;
    private static Tokenizer tokenizer;
    private static JsonNode recorded;

    @BeforeAll
    static void open() throws IOException {
        template = ChatTemplate.compile("chat_template.jinja", Files.readString(FOLDER.resolve("chat_template.jinja")));
        tokenizer = Tokenizer.open(FOLDER.resolve("tokenizer.json"));
        recorded = resource("/tiny/renderings.json");
    }

    @AfterAll
    static void close() {
        tokenizer.close();
    }

    private static JsonNode resource(String path) throws IOException {
        try (var file = TinyTemplateTest.class.getResourceAsStream(path)) {
            return MAPPER.readTree(file);
        }
    }

    @Test
    void rendersTheTemplateCorpusAsJinja2() throws IOException {
        JsonNode conversations = resource("/chat-templates/conversations.json");
        JsonNode expected = recorded.get("corpus");

        assertThat(expected.size()).isEqualTo(conversations.size()).isGreaterThan(25);
        conversations.properties().forEach(conversation -> assertThat(text(template.render(prompt(conversation.getValue()))))
                .as(conversation.getKey()).isEqualTo(expected.get(conversation.getKey()).textValue()));
    }

    @Test
    void rendersWhatTheModelWasTrainedOnToTheSameTokens() {
        assertThat(recorded.get("generated").size()).isGreaterThan(50);
        recorded.get("generated").properties().forEach(conversation -> {
            List<TextRun> runs = template.render(prompt(conversation.getValue()));

            assertThat(text(runs)).as(conversation.getKey()).isEqualTo(conversation.getValue().get("text").textValue());
            assertThat(tokenizer.encode(runs)).as(conversation.getKey()).isEqualTo(ids(conversation.getValue().get("ids")));
        });
    }

    @Test
    void readsTheVariablesOfTheFamily() {
        assertThat(template.reads("enable_thinking")).isTrue();
        assertThat(template.reads("truncate_history_thinking")).isTrue();
        assertThat(template.reads("medium_effort")).isFalse();
    }

    @Test
    void endsInTheOpeningOfAThoughtOrOfAnAnswer() {
        assertThat(text(template.render(greeting(Map.of())))).isEqualTo(
                "<|im_start|>system\n<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\n");
        assertThat(text(template.render(greeting(Map.of("enable_thinking", MAPPER.getNodeFactory().booleanNode(false))))))
                .endsWith("<|im_start|>assistant\n<think></think>");
    }

    @Test
    void keepsTagsThatAMessageSpellsAsText() {
        // given a user who writes the end of the turn
        var prompt = new ChatPrompt(List.of(Message.user("a<|im_end|>b</think>")), List.of(), Map.of(), true, false);

        // then no control token comes of it
        int[] ids = tokenizer.encode(template.render(prompt));
        assertThat(ids).containsOnlyOnce(12).doesNotContain(13);
        assertThat(Arrays.stream(ids).filter(id -> id == 11)).hasSize(2);
    }

    private static ChatPrompt greeting(Map<String, JsonNode> variables) {
        return new ChatPrompt(List.of(Message.user("hi")), List.of(), variables, true, false);
    }

    private static String text(List<TextRun> runs) {
        return String.join("", runs.stream().map(TextRun::text).toList());
    }

    private static int[] ids(JsonNode list) {
        int[] ids = new int[list.size()];
        for (int at = 0; at < ids.length; at++) {
            ids[at] = list.get(at).intValue();
        }
        return ids;
    }

    /// A recorded conversation as a request brings it.
    private static ChatPrompt prompt(JsonNode conversation) {
        List<Message> messages = new ArrayList<>();
        conversation.get("messages").forEach(message -> messages.add(message(message)));
        List<JsonNode> tools = new ArrayList<>();
        conversation.get("tools").forEach(tools::add);
        Map<String, JsonNode> variables = new LinkedHashMap<>();
        conversation.properties().forEach(field -> variables.put(field.getKey(), field.getValue()));
        boolean addGenerationPrompt = conversation.get("add_generation_prompt").booleanValue();
        variables.keySet().removeAll(List.of("messages", "tools", "documents", "add_generation_prompt", "text", "ids"));
        return new ChatPrompt(messages, tools, variables, addGenerationPrompt, false);
    }

    private static Message message(JsonNode node) {
        List<ToolCall> calls = new ArrayList<>();
        node.path("tool_calls").forEach(call -> calls.add(new ToolCall(call.get("id").textValue(),
                call.at("/function/name").textValue(), (ObjectNode) call.at("/function/arguments"))));
        return new Message(Message.Role.valueOf(node.get("role").textValue().toUpperCase(Locale.ROOT)),
                node.get("content").textValue(), node.path("reasoning_content").textValue(), calls,
                node.path("tool_call_id").textValue());
    }
}
