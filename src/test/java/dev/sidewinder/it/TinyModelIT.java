package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.Launcher;
import dev.sidewinder.it.support.ServerProcess;
import dev.sidewinder.it.support.TinyCases;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What people come for, on the model that comes with Sidewinder: right answers, not just any. Its weights are part of the
/// repository and decoding is greedy, so the answers stay the same until one of the two changes.
class TinyModelIT {

    /// For 16k tokens on a busy machine without AMX; a quiet one needs seconds.
    private static final Duration LONG_PROMPT_LIMIT = Duration.ofMinutes(5);

    private static ServerProcess server;

    @TempDir
    Path folder;

    @BeforeAll
    static void start() {
        server = ServerProcess.startDefault();
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @Test
    void isServedWhenNoModelIsNamed() throws Exception {
        JsonNode model = server.api().get("/v1/models").json().get("data").get(0);

        assertThat(model.get("id").asText()).isEqualTo("tiny");
        assertThat(model.get("max_model_len").asInt()).isEqualTo(131_072);
        assertThat(server.log()).noneMatch(line -> line.contains("random"));
    }

    @Test
    void answersAQuestion() throws Exception {
        JsonNode choice = ask(question("What is the capital of France?", false));

        assertThat(choice.get("message").get("content").asText()).isEqualTo("The capital of France is Paris.");
        assertThat(choice.get("finish_reason").asText()).isEqualTo("stop");
    }

    @Test
    void remembersWhatWasSaidEarlier() throws Exception {
        ObjectNode request = question("My name is Olga.", false);
        String first = ask(request).get("message").get("content").asText();
        request.withArray("messages").addObject().put("role", "assistant").put("content", first);
        request.withArray("messages").addObject().put("role", "user").put("content", "What is my name?");

        assertThat(ask(request).get("message").get("content").asText()).contains("Olga");
    }

    @Test
    void thinksWhenItShallAndNotOtherwise() throws Exception {
        JsonNode thought = ask(question("Please compute 48 minus 39.", true)).get("message");
        JsonNode plain = ask(question("Work out 2 + 3.", false)).get("message");

        assertThat(thought.get("reasoning").asText()).isNotBlank().doesNotContain("think>");
        assertThat(thought.get("content").asText()).isEqualTo("48 - 39 = 9");
        assertThat(plain.path("reasoning").asText("")).isEmpty();
        assertThat(plain.get("content").asText()).isEqualTo("2 + 3 = 5");
    }

    @Test
    void streamsAToolCall() throws Exception {
        JsonNode test = TinyCases.first("tool-call", false);
        JsonNode expected = test.get("expect").get("tool_calls").get(0);
        List<String> names = new ArrayList<>();
        var arguments = new StringBuilder();
        var content = new StringBuilder();
        String finish = "";
        int pieces = 0;

        try (EventReader events = server.api().stream("/v1/chat/completions", TinyCases.request(test).put("stream", true).toString())) {
            for (EventReader.Event event : events.all()) {
                if (event.name().isEmpty() && !event.isDone() && event.json().path("choices").has(0)) {
                    JsonNode choice = event.json().get("choices").get(0);
                    content.append(choice.path("delta").path("content").asText(""));
                    for (JsonNode call : choice.path("delta").path("tool_calls")) {
                        call.path("function").findValuesAsText("name").forEach(names::add);
                        arguments.append(call.path("function").path("arguments").asText(""));
                        pieces++;
                    }
                    finish = choice.path("finish_reason").asText(finish);
                }
            }
        }

        assertThat(names).containsExactly(expected.get("name").asText());
        assertThat(Api.parse(arguments.toString())).isEqualTo(expected.get("arguments"));
        assertThat(pieces).isGreaterThan(2);
        assertThat(content.toString().strip()).isEmpty();
        assertThat(finish).isEqualTo("tool_calls");
    }

    @Test
    void answersFromWhatAToolSaid() throws Exception {
        JsonNode test = TinyCases.first("tool-answer", false);

        JsonNode message = ask(TinyCases.request(test)).get("message");

        assertThat(message.get("content").asText()).isEqualTo(test.get("expect").get("content").asText());
        assertThat(message.path("tool_calls")).isEmpty();
    }

    @Test
    void writesTheJsonObjectThatASchemaAsksFor() throws Exception {
        JsonNode test = TinyCases.first("json", false);

        String content = ask(TinyCases.request(test)).get("message").get("content").asText();

        assertThat(Api.parse(content)).isEqualTo(test.get("expect").get("json"));
    }

    @Test
    void stopsInFrontOfAStopString() throws Exception {
        ObjectNode request = question("Say: tiger, mirror, fence, pen", false);
        request.putArray("stop").add(", fence");

        JsonNode choice = ask(request);

        assertThat(choice.get("message").get("content").asText()).isEqualTo("tiger, mirror");
        assertThat(choice.get("finish_reason").asText()).isEqualTo("stop");
    }

    @Test
    void findsAPassPhraseInSixteenThousandTokens() throws Exception {
        JsonNode test = TinyCases.named("passphrase-16k-0005");

        Api api = server.api();
        byte[] request = TinyCases.request(test).toString().getBytes(StandardCharsets.UTF_8);

        Api.Answer answer = api.send(api.post("/v1/chat/completions", request).timeout(LONG_PROMPT_LIMIT).build());

        assertThat(answer.json().get("usage").get("prompt_tokens").asInt()).isBetween(15_000, 16_384);
        assertThat(answer.json().get("choices").get(0).get("message").get("content").asText())
                .isEqualTo(test.get("expect").get("content").asText());
    }

    /// A part of what the model card states, so that no change makes the model worse unseen.
    @Test
    void isAsGoodInBf16AsInF32OverAPartOfTheTestSet() throws Exception {
        Path report = folder.resolve("report.json");

        Launcher.Result result = Launcher.run("eval", "--against-arithmetic", "f32", "--limit", "6", "--tasks",
                "greetings-and-self,facts,arithmetic-thinking,copy,key-recall,passphrase,memory,tool-call,tool-two-calls,"
                        + "tool-answer,json", "--json", report.toString());

        assertThat(result.status()).as(result.errors()).isZero();
        JsonNode json = new ObjectMapper().readTree(Files.readString(report));
        for (JsonNode run : json.get("runs")) {
            assertThat(run.get("all").get("accuracy").asDouble()).as(result.output()).isGreaterThanOrEqualTo(0.9);
        }
        assertThat(json.get("comparison").get("changed").size()).as(result.output()).isLessThanOrEqualTo(2);
    }

    private static ObjectNode question(String text, boolean thinking) {
        ObjectNode request = new ObjectMapper().createObjectNode().put("temperature", 0).put("max_completion_tokens", 200);
        request.putArray("messages").addObject().put("role", "user").put("content", text);
        request.putObject("chat_template_kwargs").put("enable_thinking", thinking);
        return request;
    }

    /// The only choice of the answer.
    private static JsonNode ask(ObjectNode request) throws Exception {
        Api.Answer answer = server.api().post("/v1/chat/completions", request.toString());
        assertThat(answer.status()).as(answer.text()).isEqualTo(200);
        return answer.json().get("choices").get(0);
    }
}
