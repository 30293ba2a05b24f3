package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.ServerProcess;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// Answers of the demonstration model, streamed and whole.
class AnswersIT {

    private static final String HELLO = "\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]";

    private static ServerProcess server;
    private static Api api;

    @BeforeAll
    static void start() {
        server = ServerProcess.start();
        api = server.api();
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @Test
    void saysAtStartThatItsWordsAreRandom() {
        assertThat(server.log()).anyMatch(line -> line.contains("the weights are random"));
    }

    @Test
    void answersAChatInOnePiece() throws Exception {
        Api.Answer answer = api.post("/v1/chat/completions", "{" + HELLO + ",\"max_tokens\":5,\"ignore_eos\":true}");

        assertThat(answer.status()).as(answer.text()).isEqualTo(200);
        assertThat(answer.header("content-type")).isEqualTo("application/json");
        assertThat(answer.header("x-request-id")).matches("[A-Za-z0-9._-]{1,128}");
        assertThat(answer.header("x-sidewinder-mode")).isEqualTo("batch-invariant");
        assertThat(answer.header("server")).isEqualTo("sidewinder");
        assertThat(answer.header("openai-processing-ms")).matches("[0-9]+");
        JsonNode json = answer.json();
        assertThat(json.path("object").asText()).isEqualTo("chat.completion");
        assertThat(json.path("id").asText()).isEqualTo("chatcmpl-" + answer.header("x-request-id"));
        assertThat(json.path("choices")).hasSize(1);
        assertThat(json.path("choices").get(0).path("finish_reason").asText()).isEqualTo("length");
        assertThat(json.path("usage").path("completion_tokens").asInt()).isEqualTo(5);
        assertThat(json.has("error")).isFalse();
    }

    @Test
    void streamsAChatInTheOrderClientsExpect() throws Exception {
        try (EventReader stream = api.stream("/v1/chat/completions", "{" + HELLO
                + ",\"max_tokens\":6,\"ignore_eos\":true,\"n\":2,\"stream\":true,\"stream_options\":{\"include_usage\":true}}")) {
            assertThat(stream.status()).isEqualTo(200);
            assertThat(stream.header("content-type")).isEqualTo("text/event-stream; charset=utf-8");
            assertThat(stream.header("cache-control")).isEqualTo("no-cache");
            assertThat(stream.header("x-accel-buffering")).isEqualTo("no");
            List<EventReader.Event> events = stream.all();

            assertThat(events.getLast().isDone()).isTrue();
            List<JsonNode> chunks = events.subList(0, events.size() - 1).stream().map(EventReader.Event::json).toList();
            assertThat(chunks.subList(0, 2)).allMatch(
                    chunk -> chunk.at("/choices/0/delta/role").asText().equals("assistant"));
            assertThat(chunks).allMatch(chunk -> chunk.path("id").equals(chunks.getFirst().path("id")));
            assertThat(chunks.getLast().path("choices")).isEmpty();
            assertThat(chunks.getLast().at("/usage/completion_tokens").asInt()).isEqualTo(12);
            assertThat(chunks.stream().filter(chunk -> chunk.at("/choices/0/finish_reason").asText().equals("length")))
                    .hasSize(2);
        }
    }

    @Test
    void joinsAStreamToWhatThePlainAnswerSays() throws Exception {
        String request = HELLO + ",\"max_tokens\":40,\"seed\":5,\"temperature\":1";
        JsonNode plain = api.post("/v1/chat/completions", "{" + request + "}").json().at("/choices/0/message");

        var content = new StringBuilder();
        var reasoning = new StringBuilder();
        try (EventReader stream = api.stream("/v1/chat/completions", "{" + request + ",\"stream\":true}")) {
            for (EventReader.Event event : stream.all()) {
                if (!event.isDone()) {
                    content.append(event.json().at("/choices/0/delta/content").asText(""));
                    reasoning.append(event.json().at("/choices/0/delta/reasoning").asText(""));
                }
            }
        }

        assertThat(content.toString()).isEqualTo(plain.path("content").asText());
        assertThat(reasoning.toString()).isEqualTo(plain.path("reasoning").asText(""));
    }

    @Test
    void completesSeveralPromptsSeveralTimes() throws Exception {
        JsonNode json = api.post("/v1/completions",
                "{\"prompt\":[\"one\",\"two\",\"three\"],\"n\":2,\"max_tokens\":3,\"ignore_eos\":true}").json();

        assertThat(json.path("choices")).hasSize(6);
        for (int i = 0; i < 6; i++) {
            assertThat(json.path("choices").get(i).path("index").asInt()).isEqualTo(i);
        }
        assertThat(json.at("/usage/completion_tokens").asInt()).isEqualTo(18);
    }

    @Test
    void takesTokenIdsAndGivesThemBack() throws Exception {
        JsonNode json = api.post("/v1/completions",
                "{\"prompt\":[1,40,41,42],\"max_tokens\":4,\"return_token_ids\":true,\"ignore_eos\":true}").json();

        assertThat(json.at("/usage/prompt_tokens").asInt()).isEqualTo(4);
        assertThat(json.at("/choices/0/token_ids")).hasSize(4);
    }

    @Test
    void generatesOneEventPerToken() throws Exception {
        try (EventReader stream = api.stream("/generate",
                "{\"prompt\":\"abc\",\"max_tokens\":7,\"stream\":true,\"ignore_eos\":true}")) {
            List<EventReader.Event> events = stream.all();

            assertThat(events).hasSize(8);
            assertThat(events.subList(0, 7)).allMatch(event -> event.json().has("id") && event.json().has("logprob"));
        }
        JsonNode plain = api.post("/generate", "{\"token_ids\":[5,6],\"max_tokens\":2,\"ignore_eos\":true}").json();
        assertThat(plain.path("token_ids")).isNotEmpty();
        assertThat(plain.path("text")).hasSize(1);
    }

    @Test
    void tokenizesAndDetokenizes() throws Exception {
        JsonNode tokens = api.post("/tokenize", "{\"prompt\":\"Hello, world\",\"add_special_tokens\":false}").json();
        JsonNode text = api.post("/v1/detokenize", "{\"tokens\":" + tokens.path("tokens") + "}").json();

        assertThat(tokens.path("count").asInt()).isEqualTo(tokens.path("tokens").size()).isPositive();
        assertThat(text.path("prompt").asText()).isEqualTo("Hello, world");
    }

    @Test
    void rendersThePromptThatAChatIsAnsweredFrom() throws Exception {
        JsonNode answered = api.post("/v1/chat/completions", "{" + HELLO + ",\"max_tokens\":1,\"return_token_ids\":true,"
                + "\"return_prompt_text\":true}").json();
        for (String path : new String[] {"/v1/chat/completions/render", "/apply-template", "/v1/v1/chat/completions/render"}) {
            Api.Answer rendered = api.post(path, "{" + HELLO + ",\"frobnicate\":1}");

            assertThat(rendered.status()).as(rendered.text()).isEqualTo(200);
            assertThat(rendered.json().path("prompt")).isEqualTo(answered.path("prompt_text"));
            assertThat(rendered.json().path("token_ids")).isEqualTo(answered.path("prompt_token_ids"));
            assertThat(rendered.json().path("count")).isEqualTo(answered.at("/usage/prompt_tokens"));
            assertThat(rendered.json().path("special_runs")).isNotEmpty();
            assertThat(rendered.header("x-sidewinder-ignored")).isEqualTo("frobnicate");
        }
        assertThat(api.post("/v1/completions/render", "{\"prompt\":[\"a\",\"b\"]}").json()).hasSize(2);
        assertThat(api.post("/v1/chat/completions/render", "{}").code()).isEqualTo("missing_required_parameter");
        assertThat(api.get("/openapi.json").json().at("/paths/~1v1~1chat~1completions~1render/post/requestBody").isMissingNode())
                .isFalse();
    }

    @Test
    void keepsARequestIdThatIsFitAndReplacesOneThatIsNot() throws Exception {
        String body = "{\"prompt\":\"a\",\"max_tokens\":1,\"request_id\":\"from-the-body\"}";

        Api.Answer kept = api.send(api.post("/v1/completions", body.getBytes()).header("x-request-id", "my.id-1").build());
        Api.Answer replaced = api.send(api.post("/v1/completions", body.getBytes()).header("x-request-id", "a b").build());

        assertThat(kept.header("x-request-id")).isEqualTo("my.id-1");
        assertThat(kept.json().path("id").asText()).isEqualTo("cmpl-my.id-1");
        assertThat(replaced.header("x-request-id")).isEqualTo("from-the-body");
    }

    @Test
    void namesFieldsItDoesNotKnow() throws Exception {
        Api.Answer answer = api.post("/v1/completions", "{\"prompt\":\"a\",\"max_tokens\":1,\"frobnicate\":1}");

        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.header("x-sidewinder-ignored")).isEqualTo("frobnicate");
    }

    @Test
    void givesTheSameTextForASeedWhateverElseRuns() throws Exception {
        // given what a seeded request says alone
        String seeded = "{\"prompt\":\"Once upon a time\",\"max_tokens\":48,\"seed\":77,\"temperature\":1,\"ignore_eos\":true,"
                + "\"logprobs\":2}";
        JsonNode alone = api.post("/v1/completions", seeded).json().path("choices");

        // when it runs among others of all kinds
        List<Callable<JsonNode>> calls = new ArrayList<>();
        for (int i = 0; i < 24; i++) {
            String other = "{\"prompt\":\"" + "word ".repeat(1 + i * 9) + "\",\"max_tokens\":" + (5 + i * 3)
                    + ",\"temperature\":1,\"n\":" + (1 + i % 3) + "}";
            String body = i % 4 == 0 ? seeded : other;
            calls.add(() -> api.post("/v1/completions", body).json().path("choices"));
        }
        List<JsonNode> answers = new ArrayList<>();
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (Future<JsonNode> answer : threads.invokeAll(calls)) {
                answers.add(answer.get());
            }
        }

        // then text and log-probabilities are the same to the bit
        for (int i = 0; i < 24; i += 4) {
            assertThat(answers.get(i)).as("request %d", i).isEqualTo(alone);
        }
        api.awaitRest();
    }

    @Test
    void countsWhatUsageSays() throws Exception {
        api.awaitRest();
        double promptBefore = api.metricSum("vllm:prompt_tokens_total", "");
        double generatedBefore = api.metricSum("vllm:generation_tokens_total", "");
        double successBefore = api.metric("sidewinder_requests_total{engine=\"0\",endpoint=\"chat\",outcome=\"success\"}");

        JsonNode usage = api.post("/v1/chat/completions", "{" + HELLO + ",\"max_tokens\":9,\"n\":2}").json().path("usage");
        api.awaitRest();

        assertThat(api.metricSum("vllm:prompt_tokens_total", "") - promptBefore)
                .isEqualTo(usage.path("prompt_tokens").asDouble());
        assertThat(api.metricSum("vllm:generation_tokens_total", "") - generatedBefore)
                .isEqualTo(usage.path("completion_tokens").asDouble());
        assertThat(api.metric("sidewinder_requests_total{engine=\"0\",endpoint=\"chat\",outcome=\"success\"}"))
                .isEqualTo(successBefore + 1);
    }

    @Test
    void describesTheModelUnderItsName() throws Exception {
        JsonNode list = api.get("/v1/models").json();
        String id = list.at("/data/0/id").asText();

        assertThat(list.at("/data/0/max_model_len").asInt()).isPositive();
        assertThat(api.get("/models/" + id).json().path("id").asText()).isEqualTo(id);
        assertThat(api.get("/v1/models/nobody%2Fnothing").code()).isEqualTo("model_not_found");
        Api.Answer unknown = api.post("/v1/chat/completions", "{\"model\":\"gpt-4\"," + HELLO + "}");
        assertThat(unknown.status()).isEqualTo(404);
        assertThat(unknown.code()).isEqualTo("model_not_found");
    }
}
