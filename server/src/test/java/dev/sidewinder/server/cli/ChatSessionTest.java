package dev.sidewinder.server.cli;

import static dev.sidewinder.server.cli.FakeChatServer.content;
import static dev.sidewinder.server.cli.FakeChatServer.reasoning;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ChatSessionTest {

    private static final Terminal PIPE = new Terminal(false, false);
    private static final Terminal PERSON = new Terminal(true, true);
    private static final ChatClient.Options PLAIN = new ChatClient.Options("fake-model", null, null, null);

    private final ByteArrayOutputStream output = new ByteArrayOutputStream();
    private final ByteArrayOutputStream errors = new ByteArrayOutputStream();
    private FakeChatServer server;
    private ChatClient client;

    @BeforeEach
    void start() throws IOException {
        server = new FakeChatServer();
        client = new ChatClient(server.address());
    }

    @AfterEach
    void stop() {
        client.close();
        server.close();
    }

    @Test
    void printsAnAnswerWithoutEscapesWhenPiped() throws Exception {
        server.answer("stop", reasoning("Hm."), reasoning(" Yes."), content("Bon"), content("jour 🐍"));

        int status = session(PIPE, PLAIN, null, "Hello\n").run();

        assertThat(status).isZero();
        assertThat(output()).isEqualTo("Hm. Yes.\nBonjour 🐍\n");
        assertThat(errors()).isEmpty();
    }

    @Test
    void sendsTheWholeConversationEachTime() throws Exception {
        server.answer("stop", content("One."));
        server.answer("stop", reasoning("not kept"), content("Two."));
        server.answer("stop", content("Three."));

        session(PIPE, PLAIN, "Be brief.", "first\nsecond\n\n   \nthird").run();

        assertThat(server.requests).hasSize(3);
        assertThat(server.requests.getLast().path("messages")).extracting(m -> m.path("role").asText() + ": "
                + m.path("content").asText()).containsExactly("system: Be brief.", "user: first", "assistant: One.",
                "user: second", "assistant: Two.", "user: third");
    }

    @Test
    void sendsOnlyTheOptionsThatWereGiven() throws Exception {
        server.answer("stop", content("a"));
        server.answer("stop", content("b"));

        session(PIPE, PLAIN, null, "x").run();
        session(PIPE, new ChatClient.Options("other", false, 0.25, 77), null, "x").run();

        JsonNode plain = server.requests.getFirst();
        assertThat(plain.fieldNames()).toIterable().containsExactlyInAnyOrder("model", "messages", "stream");
        JsonNode full = server.requests.getLast();
        assertThat(full.path("model").asText()).isEqualTo("other");
        assertThat(full.path("temperature").asDouble()).isEqualTo(0.25);
        assertThat(full.path("max_completion_tokens").asInt()).isEqualTo(77);
        assertThat(full.path("chat_template_kwargs").path("enable_thinking").isBoolean()).isTrue();
        assertThat(full.path("chat_template_kwargs").path("enable_thinking").asBoolean()).isFalse();
        assertThat(full.path("stream").asBoolean()).isTrue();
    }

    @Test
    void commandsChangeTheHistoryAndAreNotSent() throws Exception {
        server.answer("stop", content("a"));
        server.answer("stop", content("b"));
        server.answer("stop", content("c"));

        ChatSession session = session(PIPE, PLAIN, "old", "one\n/system new text \ntwo\n/reset\nthree\n/exit\nfour");
        session.run();

        assertThat(server.requests).hasSize(3);
        assertThat(server.requests.get(1).path("messages").toString())
                .isEqualTo("[{\"role\":\"system\",\"content\":\"new text\"},{\"role\":\"user\",\"content\":\"two\"}]");
        assertThat(server.requests.get(2).path("messages").toString())
                .isEqualTo("[{\"role\":\"system\",\"content\":\"new text\"},{\"role\":\"user\",\"content\":\"three\"}]");
    }

    @Test
    void anUnknownCommandIsNotAQuestion() throws Exception {
        session(PIPE, PLAIN, null, "/sytem x\n/help\n").run();

        assertThat(server.requests).isEmpty();
        assertThat(errors()).contains("unknown command /sytem");
        assertThat(output()).contains("/reset");
    }

    @Test
    void aBackslashJoinsLines() throws Exception {
        server.answer("stop", content("a"));

        session(PIPE, PLAIN, null, "one\\\ntwo\\\nthree\n").run();

        assertThat(server.requests.getFirst().path("messages").path(0).path("content").asText())
                .isEqualTo("one\ntwo\nthree");
    }

    @Test
    void dimsReasoningForAPerson() throws Exception {
        server.answer("stop", reasoning("Hm."), content("Yes."));

        session(PERSON, PLAIN, null, "x\n").run();

        assertThat(output()).isEqualTo("> \033[2mHm.\033[0m\nYes.\n> ");
    }

    @Test
    void anAnswerCannotSteerTheTerminal() throws Exception {
        server.answer("stop", content("a\033]0;title\007b\u009b2Jc\td\r"));

        session(PERSON, PLAIN, null, "x\n").run();

        assertThat(output()).isEqualTo("> a␛]0;title␇b\ufffd2Jc\td␍\n> ");
    }

    @Test
    void showsToolCalls() throws Exception {
        server.answer("tool_calls", content("Let me see."),
                "{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"add\",\"arguments\":\"\"}}]}",
                "{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]}",
                "{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]}");

        session(PIPE, PLAIN, null, "x\n").run();

        assertThat(output()).isEqualTo("Let me see.\n→ add {\"a\":1}\n");
    }

    @Test
    void saysWhenAnAnswerWasCutOff() throws Exception {
        server.answer("length", content("so far"));

        session(PIPE, PLAIN, null, "x\n").run();

        assertThat(errors()).contains("cut off at the token limit");
    }

    @Test
    void aRefusedQuestionIsTakenBackAndFailsAPipe() throws Exception {
        server.answerRaw(400, "{\"error\":{\"message\":\"this model has no tokenizer\",\"type\":\"invalid_request_error\"}}");
        server.answer("stop", content("fine"));

        ChatSession session = session(PIPE, PLAIN, null, "one\ntwo\n");
        int status = session.run();

        assertThat(status).isEqualTo(1);
        assertThat(errors()).isEqualTo("sidewinder chat: the server answers 400: this model has no tokenizer\n");
        assertThat(server.requests.getLast().path("messages")).hasSize(1);
        assertThat(session.history()).extracting(m -> m.content()).containsExactly("two", "fine");
    }

    @Test
    void anErrorInsideAStreamIsAFailure() throws Exception {
        server.answerRaw(200, FakeChatServer.chunks(content("half"))
                + "event: error\ndata: {\"error\":{\"message\":\"numbers went wrong\",\"type\":\"server_error\"}}\n\n");

        assertThat(session(PIPE, PLAIN, null, "x").run()).isEqualTo(1);
        assertThat(errors()).contains("the server gave up: numbers went wrong");
    }

    @Test
    void aStreamWithoutItsEndIsAFailure() throws Exception {
        server.answerRaw(200, FakeChatServer.chunks(content("half")));

        assertThat(session(PIPE, PLAIN, null, "x").run()).isEqualTo(1);
        assertThat(errors()).contains("broke off in the middle");
    }

    @Test
    void anInterruptStopsTheAnswerAndTheConversationGoesOn() throws Exception {
        server.answerAndHang(content("this much"));
        server.answer("stop", content("next"));
        ChatSession session = session(PIPE, PLAIN, null, "one\ntwo\n");
        assertThat(session.interrupt()).as("nothing to stop yet").isFalse();

        Thread person = Thread.ofVirtual().start(() -> {
            try {
                server.hanging.await();
                while (!output().contains("this much")) {
                    Thread.sleep(5);
                }
                session.interrupt();
            } catch (InterruptedException stopped) {
                Thread.currentThread().interrupt();
            }
        });
        int status = session.run();
        person.join();

        assertThat(status).isZero();
        assertThat(server.left.await(60, TimeUnit.SECONDS)).as("the server sees the client leave").isTrue();
        assertThat(output()).isEqualTo("this much\n(stopped)\nnext\n");
        assertThat(session.history()).extracting(m -> m.content()).containsExactly("one", "this much", "two", "next");
    }

    @Test
    void theClientKnowsWhetherAServerIsThere() throws Exception {
        assertThat(client.firstModel()).contains("fake-model");
        server.close();
        try (var another = new ChatClient(server.address())) {
            assertThat(another.firstModel()).isEmpty();
        }
    }

    private ChatSession session(Terminal terminal, ChatClient.Options options, String system, String input) {
        return new ChatSession(client, options, system, terminal, new BufferedReader(new StringReader(input)),
                new PrintStream(output, true, StandardCharsets.UTF_8), new PrintStream(errors, true, StandardCharsets.UTF_8));
    }

    private String output() {
        return output.toString(StandardCharsets.UTF_8);
    }

    private String errors() {
        return errors.toString(StandardCharsets.UTF_8);
    }
}
