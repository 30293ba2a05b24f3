package dev.sidewinder.server.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.chat.AnswerGuides;
import dev.sidewinder.model.chat.ChatPrompt;
import dev.sidewinder.model.chat.ChatTemplate;
import dev.sidewinder.model.chat.Message;
import dev.sidewinder.model.chat.ToolCall;
import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.model.tokenizer.TextRun;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// New messages behind the tokens of a session, with the template and the tokenizer of `models/tiny`: the same tokens as if the whole
/// conversation had been rendered, reasoning and all.
class NextTurnTest {

    private static final Path FOLDER = Path.of("../models/tiny");
    /// What a session does of itself: nothing that was said is ever taken back.
    private static final Map<String, JsonNode> KEEPING = Map.of("truncate_history_thinking", BooleanNode.FALSE);

    private static Tokenizer tokenizer;
    private static ModelText text;
    private static ChatFormat format;

    @BeforeAll
    static void open() throws IOException {
        tokenizer = Tokenizer.open(FOLDER.resolve("tokenizer.json"));
        text = new TokenizerText(tokenizer);
        format = chat(Files.readString(FOLDER.resolve("chat_template.jinja")));
    }

    @AfterAll
    static void close() {
        tokenizer.close();
    }

    private static ChatFormat chat(String template) {
        return new NemotronChat(ChatTemplate.compile("t", template), ControlTokens.of(tokenizer), (AnswerGuides) null);
    }

    private static int[] tokens(boolean open, Message... messages) {
        return text.encode(format.render(new ChatPrompt(List.of(messages), List.of(), KEEPING, open, false)));
    }

    private static int[] next(int[] history, Message... messages) {
        var turn = new NextTurn(format, text);
        List<TextRun> runs = turn.render(new Conversation(List.of(messages), Map.of(), true, false), KEEPING);
        return turn.append(history, runs, KEEPING);
    }

    private static Message answer(String content, String reasoning, ToolCall... calls) {
        return new Message(Message.Role.ASSISTANT, content, reasoning, List.of(calls), null);
    }

    /// A prompt and the answer that the model gave to it.
    private static int[] answered(int[] prompt, String answer, boolean ended) {
        int[] said = text.encode(List.of(new TextRun(answer + (ended ? "<|im_end|>" : ""), true)));
        int[] all = Arrays.copyOf(prompt, prompt.length + said.length);
        System.arraycopy(said, 0, all, prompt.length, said.length);
        return all;
    }

    @Test
    void goesOnBehindAnAnswerAsTheWholeConversationWould() {
        int[] history = answered(tokens(true, Message.system("Be brief."), Message.user("Hello")), "Hm.\n</think>\nHello!", true);

        int[] prompt = next(history, Message.user("What is 2 + 2?"));

        assertThat(prompt).isEqualTo(tokens(true, Message.system("Be brief."), Message.user("Hello"), answer("Hello!", "Hm."),
                Message.user("What is 2 + 2?")));
        assertThat(prompt).startsWith(history);
    }

    @Test
    void takesToolResultsAsTheFirstNewMessages() {
        ObjectNode arguments = JsonNodeFactory.instance.objectNode().put("city", "Paris");
        var call = new ToolCall("c", "weather", arguments);
        int[] history = answered(tokens(true, Message.user("Weather?")),
                "Hm.\n</think>\n<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>\n", true);

        assertThat(next(history, Message.tool("c", "rain"), Message.tool("d", "sun")))
                .isEqualTo(tokens(true, Message.user("Weather?"), answer("", "Hm.", call), Message.tool("c", "rain"), Message.tool("d", "sun")));
    }

    @Test
    void closesAnAnswerThatWasCutShort() {
        int[] history = answered(tokens(true, Message.user("Hello")), "Hm.\n</think>\nHel", false);

        assertThat(next(history, Message.user("Go on"))).isEqualTo(
                tokens(true, Message.user("Hello"), answer("Hel", "Hm."), Message.user("Go on")));
    }

    @Test
    void goesOnBehindABeginningThatWasRendered() {
        int[] history = tokens(false, Message.system("You plan travels."));

        assertThat(next(history, Message.user("Hi"))).isEqualTo(tokens(true, Message.system("You plan travels."), Message.user("Hi")));
        assertThat(next(history, Message.system("Later."), Message.user("Hi")))
                .as("a later system message is a turn").isEqualTo(
                        tokens(true, Message.system("You plan travels."), Message.system("Later."), Message.user("Hi")));
    }

    @Test
    void refusesATemplateWithoutTurns() {
        ChatFormat flat = chat("{% for m in messages %}{{ m.content }} {% endfor %}");
        var turn = new NextTurn(flat, text);
        List<TextRun> runs = turn.render(new Conversation(List.of(Message.user("x")), Map.of(), true, false), Map.of());

        ApiException refused = catchThrowableOfType(ApiException.class, () -> turn.append(new int[] {5}, runs, Map.of()));

        assertThat(refused.error().code()).isEqualTo("unsupported_value");
    }
}
