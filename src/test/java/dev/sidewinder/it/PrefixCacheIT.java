package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.ServerProcess;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What conversations get from the prefix cache, on the model that comes with Sidewinder.
///
/// States are kept on a grid of 128 tokens, so up to 127 tokens of every prompt are computed again, whatever is kept. Shares are
/// measured on conversations that begin with some thousand tokens, where that is a few percent; for a greeting it would be all.
class PrefixCacheIT {

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final int TURNS = 6;

    private static ServerProcess server;
    private static Api api;

    @BeforeAll
    static void start() {
        server = ServerProcess.startDefault();
        api = server.api();
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    /// What usage says.
    private record Use(int promptTokens, int cachedTokens, JsonNode cache) {

        static Use of(JsonNode usage) {
            return new Use(usage.get("prompt_tokens").intValue(), usage.at("/prompt_tokens_details/cached_tokens").intValue(),
                    usage.get("sidewinder_cache"));
        }
    }

    private static ObjectNode conversation(String system, String salt) {
        ObjectNode request = MAPPER.createObjectNode().put("temperature", 0).put("max_completion_tokens", 60)
                .put("cache_explain", true);
        if (!salt.isEmpty()) {
            request.put("cache_salt", salt);
        }
        request.putArray("messages").addObject().put("role", "system").put("content", system);
        return request;
    }

    private static void user(ObjectNode request, String text) {
        request.withArray("messages").addObject().put("role", "user").put("content", text);
    }

    /// A text of some length that is like no other one.
    private static String text(String seed, int sentences) {
        var text = new StringBuilder();
        for (int i = 0; i < sentences; i++) {
            text.append("Note ").append(i).append(" of ").append(seed).append(": the key of room ").append(i * 7 % 100)
                    .append(" hangs behind door ").append(i * 13 % 100).append(". ");
        }
        return text.toString();
    }

    private static JsonNode ask(ObjectNode request) throws Exception {
        Api.Answer answer = api.post("/v1/chat/completions", request.toString());
        assertThat(answer.status()).as(answer.text()).isEqualTo(200);
        return answer.json();
    }

    /// Tokens of the prompt in front of the last message: its turn and the one to be generated are the last two.
    private static int tokensBeforeLastMessage(ObjectNode request) throws Exception {
        Api.Answer rendered = api.post("/v1/chat/completions/render", request.toString());
        assertThat(rendered.status()).as(rendered.text()).isEqualTo(200);
        JsonNode ids = rendered.json().get("token_ids");
        int turnStart = ids.get(0).intValue();
        List<Integer> turns = new ArrayList<>();
        for (int i = 0; i < ids.size(); i++) {
            if (ids.get(i).intValue() == turnStart) {
                turns.add(i);
            }
        }
        return turns.get(turns.size() - 2);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void fromTheSecondTurnOnNineTenthsBeforeTheLastMessageComeFromTheCache(boolean thinking) throws Exception {
        ObjectNode request = conversation(text("the house, " + thinking, 120), "");
        request.put("enable_thinking", thinking);
        Map<Integer, Double> shares = new TreeMap<>();
        for (int turn = 1; turn <= TURNS; turn++) {
            user(request, text("turn " + turn, 6) + "What is 2 + " + turn + "?");
            int before = tokensBeforeLastMessage(request);

            JsonNode answer = ask(request);

            Use use = Use.of(answer.get("usage"));
            assertThat(use.cachedTokens()).isBetween(0, use.promptTokens() - 1);
            if (turn > 1) {
                shares.put(turn, (double) use.cachedTokens() / before);
            }
            JsonNode message = answer.at("/choices/0/message");
            ObjectNode said = request.withArray("messages").addObject().put("role", "assistant")
                    .put("content", message.get("content").asText());
            if (message.hasNonNull("reasoning")) {
                // replayed, and dropped by the template in front of the next user message
                said.put("reasoning", message.get("reasoning").asText());
            }
        }
        System.out.println("shares of the prompt before the last user message that came from the cache, thinking " + thinking + ": " + shares);
        assertThat(shares.values()).hasSize(TURNS - 1).allSatisfy(share -> assertThat(share).as("%s", shares).isBetween(0.9, 1.05));
    }

    @Test
    void inAToolLoopNineteenTwentiethsComeFromTheCache() throws Exception {
        ObjectNode request = conversation(text("the archive", 200), "");
        request.putArray("tools").add(MAPPER.readTree("""
                {"type":"function","function":{"name":"look_up","description":"Reads a note.","strict":true,"parameters":{"type":"object",
                 "properties":{"note":{"type":"integer"}},"required":["note"]}}}"""));
        // a small model: what it writes is bounded, so that each answer is one whole call
        request.put("tool_choice", "required").put("parallel_tool_calls", false).put("thinking_token_budget", 30)
                .put("max_completion_tokens", 400);
        user(request, "Look up all notes, one after the other.");
        Map<Integer, Double> shares = new TreeMap<>();
        for (int step = 1; step <= TURNS; step++) {
            int before = tokensBeforeLastMessage(request);

            JsonNode answer = ask(request);

            Use use = Use.of(answer.get("usage"));
            if (step > 1) {
                shares.put(step, (double) use.cachedTokens() / before);
            }
            assertThat(answer.at("/choices/0/finish_reason").asText()).as(answer.toString()).isEqualTo("tool_calls");
            JsonNode message = answer.at("/choices/0/message");
            assertThat(message.at("/tool_calls/0/function/name").asText()).as(answer.toString()).isEqualTo("look_up");
            ObjectNode said = request.withArray("messages").addObject().put("role", "assistant");
            said.set("content", message.get("content"));
            if (message.hasNonNull("reasoning")) {
                said.set("reasoning", message.get("reasoning"));
            }
            said.set("tool_calls", message.get("tool_calls"));
            request.withArray("messages").addObject().put("role", "tool")
                    .put("tool_call_id", message.at("/tool_calls/0/id").asText()).put("content", "Note " + step + ": nothing to see.");
        }
        System.out.println("shares of the prompt before the last tool result that came from the cache: " + shares);
        assertThat(shares.values()).hasSize(TURNS - 1).allSatisfy(share -> assertThat(share).as("%s", shares).isBetween(0.95, 1.05));
    }

    /// The template drops what was thought on the way to a tool when the user speaks again, so nothing that stands behind it is there as it was
    /// generated: it is computed while nobody waits.
    @Test
    void whatANextTurnBeginsWithIsComputedBeforehandWhereReasoningIsDropped() throws Exception {
        // given a turn with a long tool result behind some reasoning
        ObjectNode request = conversation(text("the attic", 10), "");
        user(request, "What stands in the note?");
        ObjectNode call = request.withArray("messages").addObject().put("role", "assistant").put("content", "").put("reasoning", text("a thought", 8));
        call.putArray("tool_calls").addObject().put("id", "call_1").put("type", "function").putObject("function").put("name", "look_up")
                .put("arguments", "{\"note\":1}");
        request.withArray("messages").addObject().put("role", "tool").put("tool_call_id", "call_1").put("content", text("the note", 160));
        request.put("thinking_token_budget", 30).put("max_completion_tokens", 400);
        double prepared = api.metricSum("sidewinder_preparations_total", "event=\"done\"");

        JsonNode answer = ask(request);

        // when it has been answered, and the user speaks again
        assertThat(answer.at("/choices/0/finish_reason").asText()).as(answer.toString()).isEqualTo("stop");
        for (int tenths = 0; api.metricSum("sidewinder_preparations_total", "event=\"done\"") == prepared; tenths++) {
            assertThat(tenths).as("tenths of a second until the next turn is prepared").isLessThan(600);
            Thread.sleep(100);
        }
        request.withArray("messages").addObject().put("role", "assistant").put("content", answer.at("/choices/0/message/content").asText());
        user(request, "And what is 2 + 3?");
        Use use = Use.of(ask(request).get("usage"));
        int before = tokensBeforeLastMessage(request);

        // then all that stands before is there, up to the end of a block
        assertThat(use.cachedTokens()).isEqualTo(before / 128 * 128);
        assertThat(api.metricSum("sidewinder_prepared_tokens_total", "")).isGreaterThanOrEqualTo(2048);
        request.put("cache_salt", "somebody else");
        assertThat(Use.of(ask(request).get("usage")).cachedTokens()).isZero();
    }

    @Test
    void anIdenticalResendHitsAndAnswersTheSame() throws Exception {
        // given prompts of two blocks and more, sent for the first time
        for (int sentences : new int[] {12, 14, 20, 40}) {
            ObjectNode request = conversation(text("resend " + sentences, sentences), "").put("seed", 7).put("temperature", 1.0);
            request.put("logprobs", true);
            user(request, "Go on.");
            JsonNode first = ask(request);
            assertThat(Use.of(first.get("usage")).promptTokens()).isGreaterThanOrEqualTo(256);

            JsonNode second = ask(request);

            Use use = Use.of(second.get("usage"));
            int reusable = (use.promptTokens() - 1) / 128 * 128;
            assertThat(use.cachedTokens()).as("of %d tokens", use.promptTokens()).isBetween(Math.max(128, reusable - 128), reusable);
            assertThat(second.get("choices")).as("cold and cached give the same, to the last bit of a log-probability")
                    .isEqualTo(first.get("choices"));
        }
    }

    @Test
    void explainsItInAStreamToo() throws Exception {
        ObjectNode request = conversation(text("stream", 40), "");
        // a block and more behind the system message, so that the two points are not the same on the grid
        user(request, text("question", 12));
        Use cold = Use.of(ask(request).get("usage"));
        assertThat(cold.cache().get("miss_reason").asText()).isIn("cold", "diverged");
        request.put("stream", true).putObject("stream_options").put("include_usage", true);

        JsonNode usage = null;
        try (EventReader events = api.stream("/v1/chat/completions", request.toString())) {
            for (EventReader.Event event : events.all()) {
                usage = event.isDone() || !event.json().has("usage") ? usage : event.json().get("usage");
            }
        }

        Use warm = Use.of(usage);
        assertThat(warm.cachedTokens()).isGreaterThanOrEqualTo(warm.promptTokens() - 256);
        assertThat(warm.cache().get("reused_tokens").intValue()).isEqualTo(warm.cachedTokens());
        assertThat(warm.cache().get("snapshot").asText()).isEqualTo("turn_start");
        assertThat(warm.cache().get("partition").asText()).isEqualTo("tenant");
    }

    @Test
    void saltsDivideTheCacheAndTellNothingOfEachOther() throws Exception {
        String secret = text("a secret", 40);
        ObjectNode alice = conversation(secret, "alice");
        user(alice, "Go on.");
        ask(alice);
        assertThat(Use.of(ask(alice).get("usage")).cachedTokens()).isPositive();

        // when somebody else sends the very same prompt
        ObjectNode bob = conversation(secret, "bob");
        user(bob, "Go on.");
        Use use = Use.of(ask(bob).get("usage"));

        // then it is as if nobody had sent it before
        assertThat(use.cachedTokens()).isZero();
        assertThat(use.cache().toString()).isEqualTo("{\"kv_hit_tokens\":0,\"state_hit_tokens\":0,\"reused_tokens\":0,"
                + "\"recomputed_tokens\":0,\"snapshot\":null,\"miss_reason\":\"cold\",\"diverged_at\":null,\"partition\":\"tenant+salt\"}");
        assertThat(server.log()).as("a salt is a secret").noneMatch(line -> line.contains("alice") || line.contains("bob"));
    }

    @Test
    void anOperatorDropsOneSaltOrEverything() throws Exception {
        ObjectNode alice = conversation(text("to be dropped", 40), "alice-2");
        ObjectNode bob = conversation(text("to stay", 40), "bob-2");
        user(alice, "Go on.");
        user(bob, "Go on.");
        ask(alice);
        ask(bob);
        api.awaitRest();

        Api.Answer dropped = api.post("/v1/cache/reset", "{\"cache_salt\":\"alice-2\"}");

        assertThat(dropped.status()).as(dropped.text()).isEqualTo(200);
        assertThat(dropped.json().get("dropped_states").intValue()).isPositive();
        assertThat(dropped.json().get("dropped_blocks").intValue()).isPositive();
        Use after = Use.of(ask(alice).get("usage"));
        assertThat(after.cachedTokens()).isZero();
        assertThat(after.cache().get("miss_reason").asText()).isIn("evicted_kv", "evicted_state");
        assertThat(Use.of(ask(bob).get("usage")).cachedTokens()).isPositive();

        // and without a body, under the name that other servers have for it
        api.awaitRest();
        assertThat(api.send(api.request("/reset_prefix_cache").POST(java.net.http.HttpRequest.BodyPublishers.noBody()).build()).status())
                .isEqualTo(200);
        assertThat(api.metric("sidewinder_state_slots{engine=\"0\",state=\"snapshot\"}")).isZero();
        assertThat(api.metric("sidewinder_kv_blocks{engine=\"0\",state=\"cached\"}")).isZero();
        assertThat(Use.of(ask(bob).get("usage")).cachedTokens()).isZero();
        assertThat(api.post("/v1/cache/reset", "{\"cache_salt\":7}").status()).isEqualTo(400);
    }

    @Test
    void theScrapeAgreesWithWhatUsageSays() throws Exception {
        api.awaitRest();
        Api.Metrics before = api.metrics();
        long prompts = 0;
        long cached = 0;
        for (int i = 0; i < 3; i++) {
            ObjectNode request = conversation(text("scrape", 30), "");
            user(request, "Go on.");
            Use use = Use.of(ask(request).get("usage"));
            prompts += use.promptTokens();
            cached += use.cachedTokens();
        }
        api.awaitRest();
        Api.Metrics after = api.metrics();

        assertThat(cached).isPositive();
        assertThat(difference(after, before, "vllm:prompt_tokens_cached_total", "")).isEqualTo(cached);
        assertThat(difference(after, before, "vllm:prompt_tokens_by_source_total", "local_cache_hit")).isEqualTo(cached);
        assertThat(difference(after, before, "vllm:prompt_tokens_by_source_total", "local_compute")).isEqualTo(prompts - cached);
        assertThat(difference(after, before, "vllm:prefix_cache_hits_total", "")).isEqualTo(cached);
        assertThat(difference(after, before, "vllm:prefix_cache_queries_total", "")).isEqualTo(prompts);
        assertThat(difference(after, before, "sidewinder_prefix_tokens_total", "reused")).isEqualTo(cached);
        assertThat(difference(after, before, "sidewinder_prefix_lookups_total", "")).isEqualTo(3);
        assertThat(difference(after, before, "sidewinder_snapshots_total", "restored")).isEqualTo(2);
        assertThat(difference(after, before, "sidewinder_snapshots_total", "stored")).isPositive();
        double frames = after.sum("sidewinder_frames", "");
        assertThat(after.sum("sidewinder_frames", "free")).isLessThan(frames);
        assertThat(after.sum("sidewinder_frames", "\"kv\"") + after.sum("sidewinder_frames", "\"state\"")).as("at rest").isZero();
        assertThat(after.sum("vllm:kv_cache_usage_perc", "")).as("what can be evicted is free").isZero();
    }

    private static double difference(Api.Metrics after, Api.Metrics before, String family, String part) {
        return after.sum(family, part) - before.sum(family, part);
    }

    @Test
    void scoringAPromptUsesNoPrefix() throws Exception {
        ObjectNode request = conversation(text("scored", 30), "");
        user(request, "Go on.");
        ask(request);

        Use use = Use.of(ask(request.put("prompt_logprobs", 0)).get("usage"));

        assertThat(use.cachedTokens()).isZero();
        assertThat(use.cache().get("miss_reason").asText()).isEqualTo("disabled");
        assertThat(use.cache().get("partition").isNull()).isTrue();
    }
}
