package dev.sidewinder.model.chat;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.tokenizer.TextRun;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// The published behaviour of the templates of Nemotron 3 Nano and Lightning, rule by rule.
class NanoTemplateTest {
    private static final ChatTemplate NANO = ChatTemplate.compile("nano", ChatTemplateTest.resource("templates/nano.jinja"));
    private static final ChatTemplate LIGHTNING =
            ChatTemplate.compile("lightning", ChatTemplateTest.resource("templates/lightning.jinja"));
    private static final String NO_SYSTEM = "<|im_start|>system\n<|im_end|>\n";

    private static String render(ChatTemplate template, List<JsonNode> tools, Map<String, JsonNode> variables,
            boolean addGenerationPrompt, Message... messages) {
        ChatPrompt prompt = new ChatPrompt(List.of(messages), tools, variables, addGenerationPrompt, false);
        return String.join("", template.render(prompt).stream().map(TextRun::text).toList());
    }

    private static String nano(Message... messages) {
        return render(NANO, List.of(), Map.of(), false, messages);
    }

    private static String lightning(Message... messages) {
        return render(LIGHTNING, List.of(), Map.of(), false, messages);
    }

    private static Message assistant(String content, String reasoning, ToolCall... calls) {
        return new Message(Message.Role.ASSISTANT, content, reasoning, List.of(calls), null);
    }

    private static JsonNode json(String text) {
        try {
            return new ObjectMapper().readTree(text.replace('\'', '"'));
        } catch (IOException e) {
            throw new IllegalArgumentException(text, e);
        }
    }

    private static ToolCall call(String name, String arguments) {
        return new ToolCall("c", name, (ObjectNode) json(arguments));
    }

    @Test
    void alwaysOpensWithASystemBlock() {
        assertThat(nano(Message.user("hi"))).isEqualTo(NO_SYSTEM + "<|im_start|>user\nhi<|im_end|>\n");
        assertThat(nano(Message.system("Be brief."), Message.user("hi")))
                .isEqualTo("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n");
        assertThat(nano()).isEqualTo(NO_SYSTEM);
    }

    @Test
    void opensTheAnswerWithOrWithoutThinking() {
        Message hi = Message.user("hi");
        assertThat(render(NANO, List.of(), Map.of(), true, hi)).endsWith("<|im_start|>assistant\n<think>\n");
        assertThat(render(NANO, List.of(), Map.of("enable_thinking", BooleanNode.TRUE), true, hi))
                .endsWith("<|im_start|>assistant\n<think>\n");
        assertThat(render(NANO, List.of(), Map.of("enable_thinking", BooleanNode.FALSE), true, hi))
                .endsWith("<|im_start|>assistant\n<think></think>");
        assertThat(render(NANO, List.of(), Map.of(), false, hi)).endsWith("hi<|im_end|>\n");
    }

    @Test
    void describesToolsElementByElement() {
        JsonNode tool = json("""
                {'type': 'function', 'function': {'name': 'weather', 'description': ' Tells it. ', 'strict': true,
                 'parameters': {'type': 'object', 'required': ['city'], 'additionalProperties': false, '$defs': {'a': 1},
                  'properties': {'city': {'type': 'string', 'description': ' Where ', 'minLength': 1},
                   'unit': {'enum': ['c', 'f'], 'items': [1, 2]}, 'any': {}}}}}""");

        String printed = render(NANO, List.of(tool), Map.of(), false, Message.system("S"), Message.user("hi"));

        assertThat(printed).startsWith("<|im_start|>system\nS\n\n# Tools\n\n").contains("""
                <tools>
                <function>
                <name>weather</name>
                <description>Tells it.</description>
                <parameters>
                <parameter>
                <name>city</name>
                <type>string</type>
                <description>Where</description>
                <minLength>1</minLength>
                </parameter>
                <parameter>
                <name>unit</name>
                <enum>["c", "f"]</enum>
                <items>[1, 2]</items>
                </parameter>
                <parameter>
                <name>any</name>
                </parameter>
                <additionalProperties>False</additionalProperties>
                <$defs>{"a": 1}</$defs>
                <required>["city"]</required>
                </parameters>
                <strict>True</strict>
                </function>
                </tools>

                """);
    }

    @Test
    void leavesOutTheBlankLineBeforeToolsWithoutSystemText() {
        String printed = render(NANO, List.of(json("{'type': 'function', 'function': {'name': 'now'}}")), Map.of(), false);

        assertThat(printed).startsWith("<|im_start|>system\n# Tools\n\n")
                .contains("<tools>\n<function>\n<name>now</name>\n<parameters>\n</parameters>\n</function>\n</tools>\n\n");
    }

    @Test
    void keepsReasoningAfterTheLastUserMessage() {
        assertThat(nano(Message.user("q"), assistant("a", "r")))
                .endsWith("<|im_start|>assistant\n<think>\nr\n</think>\na<|im_end|>\n");
        assertThat(lightning(Message.user("q"), assistant("a", "r")))
                .endsWith("<|im_start|>assistant\n<think>\nr</think>a<|im_end|>\n");
    }

    @Test
    void takesBlankReasoningForNone() {
        assertThat(nano(Message.user("q"), assistant("a", " \n"))).endsWith("assistant\n<think></think>a<|im_end|>\n");
    }

    @Test
    void marksAnswersWithoutThinking() {
        assertThat(nano(Message.user("q"), assistant("a", null))).endsWith("assistant\n<think></think>a<|im_end|>\n");
        assertThat(nano(Message.user("q"), assistant("x</think>a", null))).endsWith("assistant\nx</think>a<|im_end|>\n");
    }

    @Test
    void dropsReasoningOfEarlierTurns() {
        assertThat(nano(Message.user("q"), assistant(" a ", "r"), Message.user("p")))
                .contains("<|im_start|>assistant\n<think></think>\n a<|im_end|>\n");
        assertThat(lightning(Message.user("q"), assistant(" a ", "r"), Message.user("p")))
                .contains("<|im_start|>assistant\n<think></think> a<|im_end|>\n");
    }

    @Test
    void rewritesEarlierPlainTurnsOnlyWhenBothTagsAreThere() {
        assertThat(nano(Message.user("q"), assistant("x</think> a ", null), Message.user("p")))
                .contains("<|im_start|>assistant\nx</think> a<|im_end|>\n");
    }

    @Test
    void keepsReasoningOfEarlierTurnsWhenAsked() {
        String printed = render(NANO, List.of(), Map.of("truncate_history_thinking", BooleanNode.FALSE), false,
                Message.user("q"), assistant("a", "r"), Message.user("p"));

        assertThat(printed).contains("<|im_start|>assistant\n<think>\nr\n</think>\na<|im_end|>\n");
    }

    @Test
    void keepsReasoningInsideAToolLoop() {
        String printed = nano(Message.user("q"), assistant(null, "r", call("now", "{}")), Message.tool("c", "12"));

        assertThat(printed).contains("<|im_start|>assistant\n<think>\nr\n</think>\n<tool_call>\n<function=now>\n</function>\n"
                + "</tool_call>\n<|im_end|>\n");
    }

    @Test
    void trimsTheRestOfEarlierToolTurnsInNanoOnly() {
        Message[] turns = {Message.user("q"), assistant(" say ", "r", call("now", "{}")), Message.tool("c", "12"), Message.user("p")};

        assertThat(nano(turns)).contains("<|im_start|>assistant\n<think></think>say\n<tool_call>\n");
        assertThat(lightning(turns)).contains("<|im_start|>assistant\n<think></think> say \n<tool_call>\n");
    }

    @Test
    void writesArgumentsAsTextOrJson() {
        String printed = nano(Message.user("q"), assistant(null, null, call("f", """
                {'s': 'two\\nlines', 'n': 1, 'r': 2.5, 't': true, 'z': null, 'o': {'a': [1, 'é']}, 'l': []}""")));

        assertThat(printed).endsWith("""
                <|im_start|>assistant
                <think></think>
                <tool_call>
                <function=f>
                <parameter=s>
                two
                lines
                </parameter>
                <parameter=n>
                1
                </parameter>
                <parameter=r>
                2.5
                </parameter>
                <parameter=t>
                True
                </parameter>
                <parameter=z>
                None
                </parameter>
                <parameter=o>
                {"a": [1, "é"]}
                </parameter>
                <parameter=l>
                []
                </parameter>
                </function>
                </tool_call>
                <|im_end|>
                """);
    }

    @Test
    void joinsARunOfToolResultsInOneUserTurn() {
        String printed = nano(Message.user("q"), assistant("", null, call("a", "{}"), call("b", "{}")), Message.tool("1", "x"),
                Message.tool("2", "y"), Message.user("p"));

        assertThat(printed).contains("<|im_end|>\n<|im_start|>user\n<tool_response>\nx\n</tool_response>\n"
                + "<tool_response>\ny\n</tool_response>\n<|im_end|>\n<|im_start|>user\np<|im_end|>\n");
    }

    @Test
    void opensNoTurnForAToolResultThatComesFirst() {
        assertThat(nano(Message.tool("c", "x"), Message.user("p")))
                .isEqualTo(NO_SYSTEM + "<tool_response>\nx\n</tool_response>\n<|im_end|>\n<|im_start|>user\np<|im_end|>\n");
    }

    @Test
    void rendersLaterSystemMessagesWhereTheyStand() {
        assertThat(nano(Message.user("a"), Message.system("b"), Message.user("c"))).isEqualTo(NO_SYSTEM
                + "<|im_start|>user\na<|im_end|>\n<|im_start|>system\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n");
    }

    @Test
    void marksTheEffortOnTheLastUserMessageOfLightning() {
        String printed = render(LIGHTNING, List.of(), Map.of("medium_effort", BooleanNode.TRUE), false,
                Message.user("a"), Message.assistant("b"), Message.user("c"));

        assertThat(printed).contains("user\na<|im_end|>").contains("user\nc\n\n{effort: medium}<|im_end|>");
        assertThat(lightning(Message.user("c"))).doesNotContain("effort");
    }
}
