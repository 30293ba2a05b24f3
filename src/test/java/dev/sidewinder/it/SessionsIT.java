package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.Launcher;
import dev.sidewinder.it.support.ServerProcess;
import java.net.http.HttpRequest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Named sessions over HTTP, on the model that comes with Sidewinder, and from one process to the next.
class SessionsIT {

    private static final ObjectMapper MAPPER = new ObjectMapper();

    @TempDir
    static Path folder;

    private static ServerProcess server;
    private static Api api;

    @BeforeAll
    static void start() {
        server = serve(Launcher.REPOSITORY.resolve("models/tiny").toString());
        api = server.api();
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    private static ServerProcess serve(String model, String... flags) {
        List<String> all = new ArrayList<>(List.of("--model", model, "--session-folder", folder.toString()));
        all.addAll(List.of(flags));
        return ServerProcess.start(all.toArray(String[]::new));
    }

    private static Api.Answer delete(String path) throws Exception {
        return api.send(api.request(path).DELETE().build());
    }

    private static Api.Answer bare(Api api, String path) throws Exception {
        return api.send(api.request(path).POST(HttpRequest.BodyPublishers.noBody()).build());
    }

    private static void create(String name) throws Exception {
        Api.Answer made = api.post("/v1/sessions", "{\"name\":\"" + name + "\"}");
        assertThat(made.status()).as(made.text()).isEqualTo(200);
        assertThat(made.json().get("id").asText()).isEqualTo(name);
        assertThat(made.json().get("tokens").intValue()).isZero();
    }

    private static ObjectNode say(String session, String text) {
        ObjectNode request = MAPPER.createObjectNode().put("temperature", 0).put("max_completion_tokens", 80)
                .put("enable_thinking", false).put("logprobs", true).put("session_id", session);
        request.putArray("messages").addObject().put("role", "user").put("content", text);
        return request;
    }

    private static JsonNode ask(Api api, ObjectNode request) throws Exception {
        Api.Answer answer = api.post("/v1/chat/completions", request.toString());
        assertThat(answer.status()).as(answer.text()).isEqualTo(200);
        return answer.json();
    }

    private static String content(JsonNode answer) {
        return answer.at("/choices/0/message/content").asText();
    }

    private static int cached(JsonNode answer) {
        return answer.at("/usage/prompt_tokens_details/cached_tokens").intValue();
    }

    @Test
    void remembersWhatWasSaidThoughOnlyWhatIsNewIsSent() throws Exception {
        create("olga");
        JsonNode first = ask(api, say("olga", "My name is Olga."));
        int held = api.get("/v1/sessions/olga").json().get("tokens").intValue();
        assertThat(held).isEqualTo(first.at("/usage/total_tokens").intValue());

        JsonNode second = ask(api, say("olga", "What is my name?"));

        assertThat(content(second)).contains("Olga");
        assertThat(second.at("/usage/prompt_tokens").intValue()).as("history and what is new").isGreaterThan(held);
        assertThat(cached(second)).as("all but the stop token, which was never computed").isBetween(held - 1, held);
        assertThat(delete("/v1/sessions/olga").json().get("deleted").booleanValue()).isTrue();
        assertThat(api.get("/v1/sessions/olga").status()).isEqualTo(404);
    }

    @Test
    void streamsATurnAndTakesTheNameFromAHeader() throws Exception {
        create("streamed");
        ObjectNode request = say("streamed", "My name is Olga.").put("stream", true);
        try (EventReader events = api.stream("/v1/chat/completions", request.toString())) {
            assertThat(events.all().getLast().isDone()).isTrue();
        }
        // at once: the turn is over before the client hears of its end
        ObjectNode next = say("", "What is my name?");
        next.remove("session_id");
        Api.Answer answer = api.send(api.post("/v1/chat/completions", next.toString().getBytes()).header("x-session-token", "streamed").build());

        assertThat(content(answer.json())).contains("Olga");
        assertThat(api.post("/v1/chat/completions", say("other", "x").toString()).code()).isEqualTo("not_found");
        assertThat(api.send(api.post("/v1/chat/completions", say("other", "x").toString().getBytes()).header("x-session-token", "streamed").build())
                .code()).isEqualTo("invalid_value");
    }

    @Test
    void forksGoTheirOwnWays() throws Exception {
        create("tree");
        ask(api, say("tree", "My name is Olga."));
        JsonNode fork = api.post("/v1/sessions/tree/fork", "{\"name\":\"branch\"}").json();
        assertThat(fork.get("tokens")).isEqualTo(api.get("/v1/sessions/tree").json().get("tokens"));

        JsonNode a = ask(api, say("tree", "What is my name?"));
        JsonNode b = ask(api, say("branch", "What is my name?"));

        assertThat(b.at("/choices")).as("the same to the last bit").isEqualTo(a.at("/choices"));
        ask(api, say("branch", "My name is Paul."));
        assertThat(api.get("/v1/sessions/branch").json().get("tokens").intValue())
                .isGreaterThan(api.get("/v1/sessions/tree").json().get("tokens").intValue());
        assertThat(api.post("/v1/sessions/tree/fork", "{\"name\":\"branch\"}").code()).isEqualTo("session_exists");
        assertThat(api.get("/v1/sessions").json().get("data").findValuesAsText("id")).contains("tree", "branch");
    }

    @Test
    void anotherProcessGoesOnWithTheSameBits() throws Exception {
        // given a session, and a copy of it that stays
        create("moving");
        ask(api, say("moving", "My name is Olga. What is the capital of France?"));
        api.post("/v1/sessions/moving/fork", "{\"name\":\"staying\"}");
        JsonNode suspended = bare(api, "/v1/sessions/moving/suspend").json();
        assertThat(suspended.get("state").asText()).isEqualTo("suspended");
        assertThat(Files.list(folder).anyMatch(file -> file.toString().endsWith(".safetensors"))).isTrue();
        JsonNode here = ask(api, say("staying", "What is my name?"));

        // when another server takes up its file
        try (ServerProcess other = serve(Launcher.REPOSITORY.resolve("models/tiny").toString())) {
            Api there = other.api();
            assertThat(there.get("/v1/sessions").json().get("data").findValuesAsText("id")).contains("moving");
            JsonNode resumed = bare(there, "/v1/sessions/moving/resume").json();
            assertThat(resumed.get("state").asText()).isEqualTo("live");
            assertThat(resumed.get("tokens")).isEqualTo(suspended.get("tokens"));

            JsonNode answer = ask(there, say("moving", "What is my name?"));

            assertThat(content(answer)).contains("Olga");
            assertThat(answer.at("/choices")).as("tokens and log-probabilities, to the bit").isEqualTo(here.at("/choices"));
            assertThat(cached(answer)).isEqualTo(cached(here));
            other.terminate();
            assertThat(other.exitCode(Duration.ofSeconds(60))).isZero();
        }
        // and what it made of it is in the file
        JsonNode back = bare(api, "/v1/sessions/moving/resume").json();
        assertThat(back.get("tokens").intValue()).isGreaterThan(suspended.get("tokens").intValue());
    }

    @Test
    void refusesTheFileOfAnotherModel() throws Exception {
        create("foreign");
        ask(api, say("foreign", "Hello"));
        bare(api, "/v1/sessions/foreign/suspend");

        try (ServerProcess other = serve("synthetic:demo")) {
            Api.Answer refused = bare(other.api(), "/v1/sessions/foreign/resume");

            assertThat(refused.status()).as(refused.text()).isEqualTo(409);
            assertThat(refused.code()).isEqualTo("session_incompatible");
            assertThat(refused.text()).doesNotContain(folder.toString());
        }
    }

    @Test
    void oneRequestAtATime() throws Exception {
        create("busy");
        ObjectNode endless = say("busy", "Hello").put("stream", true).put("ignore_eos", true).put("max_completion_tokens", 20_000);
        try (EventReader events = api.stream("/v1/chat/completions", endless.toString())) {
            assertThat(events.next()).isNotNull();
            Api.Answer second = api.post("/v1/chat/completions", say("busy", "Hello?").toString());
            assertThat(second.status()).isEqualTo(409);
            assertThat(second.code()).isEqualTo("session_busy");
            assertThat(delete("/v1/sessions/busy").code()).isEqualTo("session_busy");
        }
        // the client has gone: nothing of its request stays, and the session is free again
        long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        Api.Answer answer = api.post("/v1/chat/completions", say("busy", "Hello?").toString());
        while (answer.status() == 409 && System.nanoTime() < deadline) {
            Thread.sleep(50);
            answer = api.post("/v1/chat/completions", say("busy", "Hello?").toString());
        }
        assertThat(answer.status()).as(answer.text()).isEqualTo(200);
        assertThat(cached(answer.json())).isLessThan(128);
    }

    @Test
    void beginsWithAConversationThatIsComputedAtOnce() throws Exception {
        ObjectNode body = MAPPER.createObjectNode().put("name", "prepared");
        body.putArray("messages").addObject().put("role", "system").put("content", "You are a clerk. ".repeat(60));
        JsonNode made = api.post("/v1/sessions", body.toString()).json();
        assertThat(made.get("computed_tokens").intValue()).as(made.toString()).isGreaterThan(100)
                .isGreaterThanOrEqualTo(made.get("tokens").intValue() - 1);

        JsonNode answer = ask(api, say("prepared", "Hello"));

        assertThat(cached(answer)).isEqualTo(made.get("computed_tokens").intValue());
    }

    @Test
    void saysWhatIsWrong() throws Exception {
        assertThat(api.get("/v1/sessions/nobody").code()).isEqualTo("not_found");
        assertThat(bare(api, "/v1/sessions/nobody/resume").status()).isEqualTo(404);
        assertThat(bare(api, "/v1/sessions/nobody/suspend").status()).isEqualTo(404);
        assertThat(delete("/v1/sessions/nobody").status()).isEqualTo(404);
        assertThat(api.post("/v1/sessions", "{\"name\":\"a b\"}").code()).isEqualTo("invalid_value");
        assertThat(api.post("/v1/sessions/nobody/fork", "{}").code()).isEqualTo("missing_required_parameter");
        assertThat(api.post("/v1/sessions", "{\"prompt\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}").code())
                .isEqualTo("invalid_value");
        create("twice");
        assertThat(api.post("/v1/sessions", "{\"name\":\"twice\"}").code()).isEqualTo("session_exists");
        assertThat(api.post("/v1/chat/completions", say("twice", "x").put("n", 2).toString()).json().at("/error/param").asText()).isEqualTo("n");
        Api.Answer put = api.send(api.request("/v1/sessions").PUT(HttpRequest.BodyPublishers.noBody()).build());
        assertThat(put.status()).isEqualTo(405);
        assertThat(put.header("allow")).isEqualTo("POST, GET, HEAD");
    }

    @Test
    void countsSessionsInTheScrape() throws Exception {
        create("counted");
        ask(api, say("counted", "Hello"));
        assertThat(api.metric("sidewinder_sessions{engine=\"0\",state=\"live\"}")).isPositive();
        assertThat(api.metric("sidewinder_session_bytes{engine=\"0\",state=\"live\"}")).isPositive();
        double suspended = api.metric("sidewinder_sessions{engine=\"0\",state=\"suspended\"}");
        bare(api, "/v1/sessions/counted/suspend");
        assertThat(api.metric("sidewinder_sessions{engine=\"0\",state=\"suspended\"}")).isEqualTo(suspended + 1);
    }
}
