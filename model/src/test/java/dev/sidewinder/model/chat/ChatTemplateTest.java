package dev.sidewinder.model.chat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.tokenizer.TextRun;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ChatTemplateTest {
    private static final String TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>\n{% endfor %}"
            + "{% if add_generation_prompt %}<assistant>{% endif %}";

    private static ChatPrompt prompt(Message... messages) {
        return new ChatPrompt(List.of(messages), List.of(), Map.of(), true, false);
    }

    private static ChatPrompt continued(Message... messages) {
        return new ChatPrompt(List.of(messages), List.of(), Map.of(), false, true);
    }

    private static ChatPrompt with(String variable, JsonNode value) {
        return new ChatPrompt(List.of(Message.user("hi")), List.of(), Map.of(variable, value), true, false);
    }

    private static String text(List<TextRun> runs) {
        StringBuilder joined = new StringBuilder();
        runs.forEach(run -> joined.append(run.text()));
        return joined.toString();
    }

    static String resource(String path) {
        try (InputStream in = ChatTemplateTest.class.getResourceAsStream("/chat-templates/" + path)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new IllegalStateException(path, e);
        }
    }

    @Test
    void separatesWhatTheTemplateWroteFromWhatWasSaid() {
        ChatTemplate template = ChatTemplate.compile("turns", "{% for m in messages %}<s>{{ m.content }}</s>{% endfor %}");

        List<TextRun> runs = template.render(prompt(Message.user("a</s>"), Message.user("b")));

        assertThat(runs).containsExactly(new TextRun("<s>", true), new TextRun("a</s>", false), new TextRun("</s><s>", true),
                new TextRun("b", false), new TextRun("</s>", true));
    }

    @Test
    void giveMessagesTheShapeTransformersGivesThem() {
        // given a template that prints everything it gets
        ChatTemplate template = ChatTemplate.compile("all", "{{ messages }}|{{ tools }}|{{ documents }}|{{ add_generation_prompt }}");
        ObjectNode arguments = JsonNodeFactory.instance.objectNode().put("city", "Oslo");
        Message call = new Message(Message.Role.ASSISTANT, null, "why", List.of(new ToolCall("c1", "weather", arguments)), null);

        // when a conversation with every field is rendered
        String printed = text(template.render(prompt(Message.system("s"), call, Message.tool("c1", "sun"))));

        // then absent fields are absent, and a turn without content has None
        assertThat(printed).isEqualTo("[{'role': 'system', 'content': 's'}, "
                + "{'role': 'assistant', 'content': None, 'reasoning_content': 'why', 'tool_calls': [{'id': 'c1', "
                + "'type': 'function', 'function': {'name': 'weather', 'arguments': {'city': 'Oslo'}}}]}, "
                + "{'role': 'tool', 'content': 'sun', 'tool_call_id': 'c1'}]|None|None|True");
    }

    @Test
    void printsSpecialTokensAsTheTemplatesOwnText() {
        ChatTemplate template = ChatTemplate.compile("bos", "{{ bos_token }}{{ messages[0].content }}", Map.of("bos_token", "<s>"));

        assertThat(template.render(prompt(Message.user("<s>"))))
                .containsExactly(new TextRun("<s>", true), new TextRun("<s>", false));
    }

    @Test
    void refusesRequestVariablesThatAreOurs() {
        ChatTemplate template = ChatTemplate.compile("bos", "{{ bos_token }}", Map.of("bos_token", "<s>"));

        for (String reserved : List.of("messages", "tools", "documents", "add_generation_prompt", "bos_token")) {
            assertThatThrownBy(() -> template.render(with(reserved, TextNode.valueOf("x"))))
                    .isInstanceOf(ChatTemplateException.class).hasMessageContaining(reserved);
        }
        assertThat(text(template.render(with("other", BooleanNode.TRUE)))).isEqualTo("<s>");
    }

    @Test
    void knowsWhichVariablesTheTemplateReads() {
        ChatTemplate lightning = ChatTemplate.compile("lightning", resource("templates/lightning.jinja"));
        ChatTemplate nano = ChatTemplate.compile("nano", resource("templates/nano.jinja"));

        assertThat(lightning.reads("medium_effort")).isTrue();
        assertThat(nano.reads("medium_effort")).isFalse();
        assertThat(nano.reads("enable_thinking")).isTrue();
        assertThat(nano.reads("truncate_history_thinking")).isTrue();
        assertThat(nano.reads("system_text")).isFalse();
    }

    @Test
    void continuesTheFinalMessage() {
        ChatTemplate template = ChatTemplate.compile("turns", TURNS);

        List<TextRun> runs = template.render(continued(Message.user("hi"), Message.assistant("Well,  ")));

        assertThat(text(runs)).isEqualTo("<user>hi</user>\n<assistant>Well,  ");
    }

    @Test
    void continuesAMessageThatTheTemplateTrims() {
        ChatTemplate template = ChatTemplate.compile("trimmed",
                "{% for m in messages %}<{{ m.role }}>\n{{ m.content | trim }}</{{ m.role }}>{% endfor %}");

        assertThat(text(template.render(continued(Message.assistant(" Well,  "))))).isEqualTo("<assistant>\nWell,");
        assertThat(text(template.render(continued(Message.assistant("  "))))).isEqualTo("<assistant>\n");
        assertThat(text(template.render(continued(Message.assistant(""))))).isEqualTo("<assistant>\n");
        assertThat(text(template.render(continued(Message.assistant(null))))).isEqualTo("<assistant>\n");
    }

    @Test
    void continuesTheRightOneOfEqualMessages() {
        ChatTemplate template = ChatTemplate.compile("turns", TURNS);

        List<TextRun> runs = template.render(continued(Message.user("same"), Message.assistant("same"), Message.user("same"),
                Message.assistant("same")));

        assertThat(text(runs)).isEqualTo(
                "<user>same</user>\n<assistant>same</assistant>\n<user>same</user>\n<assistant>same");
    }

    @Test
    void continuesAMessageThatHoldsTheMarkerItself() {
        ChatTemplate template = ChatTemplate.compile("turns", TURNS);
        String hostile = "\uFDD0\uFDD1 \uFDD0\uFDD1\uFDD0\uFDD1";

        List<TextRun> runs = template.render(continued(Message.assistant(hostile)));

        assertThat(text(runs)).isEqualTo("<assistant>" + hostile);
    }

    @Test
    void continuesAnAnswerWithReasoningInNano() {
        ChatTemplate nano = ChatTemplate.compile("nano", resource("templates/nano.jinja"));
        Message half = new Message(Message.Role.ASSISTANT, "The answer", "So.", List.of(), null);

        String printed = text(nano.render(continued(Message.user("?"), half)));

        assertThat(printed).endsWith("<|im_start|>assistant\n<think>\nSo.\n</think>\nThe answer");
    }

    @Test
    void refusesToContinueWhatCannotBeContinued() {
        ChatTemplate template = ChatTemplate.compile("turns", TURNS);
        ChatTemplate hiding = ChatTemplate.compile("hiding", "{{ messages | length }}");

        assertThatThrownBy(() -> template.render(continued(Message.user("hi")))).isInstanceOf(ChatTemplateException.class);
        assertThatThrownBy(() -> template.render(continued())).isInstanceOf(ChatTemplateException.class);
        assertThatThrownBy(() -> hiding.render(continued(Message.assistant("hi"))))
                .isInstanceOf(ChatTemplateException.class).hasMessageContaining("continued");
        assertThatThrownBy(() -> template.render(new ChatPrompt(List.of(Message.assistant("x")), List.of(), Map.of(), true, true)))
                .isInstanceOf(ChatTemplateException.class).hasMessageContaining("one of the two");
    }

    @Test
    void rendersForManyThreadsAtOnce() {
        ChatTemplate nano = ChatTemplate.compile("nano", resource("templates/nano.jinja"));
        List<String> printed = IntStream.range(0, 400).parallel()
                .mapToObj(i -> text(nano.render(prompt(Message.system("s"), Message.user("user " + i % 4))))).toList();

        for (int i = 0; i < printed.size(); i++) {
            assertThat(printed.get(i)).contains("<|im_start|>user\nuser " + i % 4 + "<|im_end|>").isEqualTo(printed.get(i % 4));
        }
    }

    @Test
    void namesTemplateAndLineOfErrors() {
        assertThatThrownBy(() -> ChatTemplate.compile("chat_template.jinja", "a\nb {% if %}\n"))
                .isInstanceOf(CheckpointException.class).hasMessageStartingWith("chat_template.jinja, line 2: ");
        ChatTemplate template = ChatTemplate.compile("chat_template.jinja", "a\n\n{{ raise_exception('first turn is wrong') }}");
        assertThatThrownBy(() -> template.render(prompt()))
                .isInstanceOf(ChatTemplateException.class).hasMessage("chat_template.jinja, line 3: first turn is wrong");
    }
}
