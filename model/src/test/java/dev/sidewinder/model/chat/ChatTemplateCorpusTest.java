package dev.sidewinder.model.chat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.chat.template.Template;
import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.tokenizer.TextRun;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// Compares us, character for character, with what @huggingface/jinja printed; and, in the cases listed with a reason in
/// `recorded/jinja2-differences.json`, with what Python's jinja2 printed. See the README beside the corpus.
class ChatTemplateCorpusTest {
    /// The moment both oracles took for now.
    private static final Clock CLOCK = Clock.fixed(Instant.parse("2024-07-06T09:05:03Z"), ZoneOffset.UTC);
    private static final Map<String, String> SPECIAL_TOKENS = Map.of("bos_token", "<s>", "eos_token", "</s>");
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private static JsonNode json(String path) {
        try {
            return MAPPER.readTree(ChatTemplateTest.resource(path));
        } catch (IOException e) {
            throw new IllegalStateException(path, e);
        }
    }

    private static Map<String, String> constructs() {
        Map<String, String> constructs = new LinkedHashMap<>();
        // every section ends with a newline that is not its template's
        String[] sections = ("\n" + ChatTemplateTest.resource("constructs.txt").replaceFirst("\n$", "")).split("\n=== ");
        for (int i = 1; i < sections.length; i++) {
            String[] nameAndTemplate = sections[i].split("\n", 2);
            constructs.put(nameAndTemplate[0], nameAndTemplate.length == 2 ? nameAndTemplate[1] : "");
        }
        return constructs;
    }

    private static List<String> templates() throws IOException, URISyntaxException {
        Path folder = Path.of(ChatTemplateCorpusTest.class.getResource("/chat-templates/templates").toURI());
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString().replace(".jinja", "")).sorted().toList();
        }
    }

    /// What the oracle of this case printed; empty when it refused.
    private static JsonNode expected(String group, String name, JsonNode recorded, JsonNode differences) {
        JsonNode difference = differences.get(group + "/" + name);
        JsonNode expected = difference != null ? difference : recorded.get(name);
        assertThat(expected).as("recorded output; renew the recordings").isNotNull();
        return expected;
    }

    private static void check(JsonNode expected, Supplier<List<TextRun>> render) {
        List<TextRun> runs;
        try {
            runs = render.get();
        } catch (ChatTemplateException | CheckpointException refused) {
            if (expected.has("text")) {
                fail("the oracle prints %s, we refuse: %s", expected.get("text"), refused.getMessage());
            }
            return;
        }
        String text = String.join("", runs.stream().map(TextRun::text).toList());
        if (!expected.has("text")) {
            fail("the oracle refuses, we print: %s", text);
        }
        assertThat(text).isEqualTo(expected.get("text").textValue());
        checkMerged(runs);
    }

    private static void checkMerged(List<TextRun> runs) {
        for (int i = 0; i < runs.size(); i++) {
            assertThat(runs.get(i).text()).isNotEmpty();
            assertThat(i > 0 && runs.get(i).fromTemplate() == runs.get(i - 1).fromTemplate()).isFalse();
        }
    }

    @TestFactory
    List<DynamicTest> rendersEveryConstructAsTheOracle() {
        JsonNode recorded = json("recorded/constructs.json");
        JsonNode differences = json("recorded/jinja2-differences.json");
        ObjectNode variables = (ObjectNode) json("variables.json");
        List<DynamicTest> tests = new ArrayList<>();
        constructs().forEach((name, template) -> tests.add(DynamicTest.dynamicTest(name, () ->
                check(expected("constructs", name, recorded, differences),
                        () -> Template.compile(name, template).render(variables, SPECIAL_TOKENS, CLOCK)))));
        return tests;
    }

    @TestFactory
    List<DynamicTest> rendersEveryConversationAsTheOracle() throws Exception {
        JsonNode differences = json("recorded/jinja2-differences.json");
        List<DynamicTest> tests = new ArrayList<>();
        for (String group : templates()) {
            JsonNode recorded = json("recorded/" + group + ".json");
            ChatTemplate template = ChatTemplate.compile(group, ChatTemplateTest.resource("templates/" + group + ".jinja"),
                    SPECIAL_TOKENS, CLOCK);
            json("conversations.json").properties().forEach(conversation -> tests.add(
                    DynamicTest.dynamicTest(group + ": " + conversation.getKey(), () ->
                            check(expected(group, conversation.getKey(), recorded, differences),
                                    () -> template.render(prompt(conversation.getValue()))))));
        }
        return tests;
    }

    @Test
    void everyDifferenceBetweenTheOraclesHasAReason() {
        json("recorded/jinja2-differences.json").properties().forEach(difference -> assertThat(
                difference.getValue().get("reason").textValue()).as(difference.getKey()).isNotBlank());
    }

    @Test
    void theCorpusIsNotEmpty() throws Exception {
        assertThat(constructs()).hasSizeGreaterThan(300);
        assertThat(templates()).contains("nano", "lightning").hasSizeGreaterThan(8);
        assertThat(json("conversations.json").size()).isGreaterThanOrEqualTo(30);
    }

    /// A conversation of the corpus as a request brings it.
    private static ChatPrompt prompt(JsonNode conversation) {
        List<Message> messages = new ArrayList<>();
        conversation.get("messages").forEach(message -> messages.add(message(message)));
        List<JsonNode> tools = new ArrayList<>();
        conversation.get("tools").forEach(tools::add);
        Map<String, JsonNode> variables = new LinkedHashMap<>();
        conversation.properties().forEach(field -> variables.put(field.getKey(), field.getValue()));
        boolean addGenerationPrompt = conversation.get("add_generation_prompt").booleanValue();
        variables.keySet().removeAll(List.of("messages", "tools", "documents", "add_generation_prompt"));
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
