package dev.sidewinder.server.api.answer;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sidewinder.engine.FinishReason;
import dev.sidewinder.engine.GenerationEvent.Admitted;
import dev.sidewinder.kvcache.CacheExplanation;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.MissReason;
import dev.sidewinder.server.api.Endpoint;
import dev.sidewinder.server.api.FakeText;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What usage says of the prefix cache, in each form of an answer.
class CacheReportTest {

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final CacheExplanation NO_SNAPSHOT = new CacheExplanation(6144, 4096, Optional.of(CheckpointPoint.TURN_START),
            MissReason.NO_SNAPSHOT, OptionalInt.empty());
    private static final CacheExplanation DIVERGED = new CacheExplanation(128, 128, Optional.of(CheckpointPoint.SYSTEM),
            MissReason.DIVERGED, OptionalInt.of(200));

    private static String body(Endpoint endpoint, String fields) {
        String prompt = switch (endpoint) {
            case CHAT -> "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]";
            case COMPLETIONS, GENERATE -> "\"prompt\":\"hello\"";
            case TOKENIZE, DETOKENIZE, CACHE_RESET, SESSION, SESSION_FORK -> throw new IllegalArgumentException("nothing is generated there");
        };
        return "{" + prompt + fields + "}";
    }

    private static Admitted admitted(int choice, CacheExplanation explanation) {
        return new Admitted(choice, explanation.reusedTokens(), Optional.of(explanation));
    }

    private static Script one(Endpoint endpoint, String fields, Admitted admitted) {
        return Script.of(endpoint, body(endpoint, fields)).event(0, admitted).say(0, "hello").length(0);
    }

    private static JsonNode usage(Script script) throws IOException {
        return MAPPER.readTree(script.plain().text()).get("usage");
    }

    private static JsonNode streamedUsage(Script script) throws IOException {
        List<String> lines = script.stream().text().lines().filter(line -> line.startsWith("data: {")).toList();
        return MAPPER.readTree(lines.getLast().substring("data: ".length())).get("usage");
    }

    @ParameterizedTest
    @CsvSource({"CHAT", "COMPLETIONS", "GENERATE"})
    void explainsInEveryPlainAnswer(Endpoint endpoint) throws IOException {
        JsonNode usage = usage(one(endpoint, ",\"cache_explain\":true", admitted(0, NO_SNAPSHOT)));

        assertThat(usage.at("/prompt_tokens_details/cached_tokens").intValue()).isEqualTo(4096);
        assertThat(usage.get("sidewinder_cache").toString()).isEqualTo("{\"kv_hit_tokens\":6144,\"state_hit_tokens\":4096,"
                + "\"reused_tokens\":4096,\"recomputed_tokens\":2048,\"snapshot\":\"turn_start\",\"miss_reason\":\"no_snapshot\","
                + "\"diverged_at\":null,\"partition\":\"tenant\"}");
    }

    @ParameterizedTest
    @CsvSource({"CHAT", "COMPLETIONS"})
    void saysTheSameInAStream(Endpoint endpoint) throws IOException {
        String fields = ",\"cache_explain\":true,\"cache_salt\":\"geheim\"";
        JsonNode plain = usage(one(endpoint, fields, admitted(0, DIVERGED)));
        JsonNode streamed = streamedUsage(one(endpoint, fields + ",\"stream\":true,\"stream_options\":{\"include_usage\":true}",
                admitted(0, DIVERGED)));

        assertThat(streamed).isEqualTo(plain);
        assertThat(streamed.at("/sidewinder_cache/diverged_at").intValue()).isEqualTo(200);
        assertThat(streamed.at("/sidewinder_cache/partition").textValue()).isEqualTo("tenant+salt");
        assertThat(streamed.toString()).doesNotContain("geheim");
    }

    @ParameterizedTest
    @CsvSource({"CHAT", "COMPLETIONS", "GENERATE"})
    void countsWithoutExplainingWhereNobodyAsked(Endpoint endpoint) throws IOException {
        JsonNode usage = usage(one(endpoint, "", new Admitted(0, 256, Optional.empty())));
        assertThat(usage.at("/prompt_tokens_details/cached_tokens").intValue()).isEqualTo(256);
        assertThat(usage.has("sidewinder_cache")).isFalse();
    }

    @Test
    void namesNoPartitionWhereNoneWasUsed() throws IOException {
        JsonNode cache = usage(one(Endpoint.CHAT, ",\"cache_explain\":true", admitted(0, CacheExplanation.DISABLED)))
                .get("sidewinder_cache");
        assertThat(cache.toString()).isEqualTo("{\"kv_hit_tokens\":0,\"state_hit_tokens\":0,\"reused_tokens\":0,\"recomputed_tokens\":0,"
                + "\"snapshot\":null,\"miss_reason\":\"disabled\",\"diverged_at\":null,\"partition\":null}");
    }

    @Test
    void countsAPromptOnceHoweverManyChoicesItHas() throws IOException {
        // given a second choice that finds what the first one computed
        Script script = Script.of(Endpoint.CHAT, body(Endpoint.CHAT, ",\"n\":2,\"cache_explain\":true"))
                .event(0, admitted(0, DIVERGED)).event(0, admitted(1, NO_SNAPSHOT)).say(0, "hello").length(0).say(1, "hello").length(1);

        JsonNode usage = usage(script);

        assertThat(usage.at("/prompt_tokens_details/cached_tokens").intValue()).isEqualTo(128);
        assertThat(usage.at("/sidewinder_cache/miss_reason").textValue()).isEqualTo("diverged");
    }

    @Test
    void addsUpOverPromptsAndExplainsTheOneOfWhichMostWasLeft() throws IOException {
        Script script = Script.of(Endpoint.COMPLETIONS, "{\"prompt\":[\"aaaaaaaaaa\",\"bb\"],\"cache_explain\":true}")
                .event(1, admitted(0, new CacheExplanation(1, 1, Optional.empty(), MissReason.NONE, OptionalInt.empty())))
                .event(0, admitted(0, new CacheExplanation(3, 2, Optional.of(CheckpointPoint.INTERVAL), MissReason.EVICTED_STATE,
                        OptionalInt.empty())))
                .token(0, 0, FakeText.word("hello"), false).finish(0, 0, FinishReason.LENGTH)
                .token(1, 0, FakeText.word("hello"), false).finish(1, 0, FinishReason.LENGTH);

        JsonNode usage = usage(script);

        assertThat(usage.at("/prompt_tokens_details/cached_tokens").intValue()).isEqualTo(3);
        assertThat(usage.at("/sidewinder_cache/kv_hit_tokens").intValue()).isEqualTo(4);
        assertThat(usage.at("/sidewinder_cache/recomputed_tokens").intValue()).isEqualTo(1);
        assertThat(usage.at("/sidewinder_cache/snapshot").textValue()).isEqualTo("interval");
        assertThat(usage.at("/sidewinder_cache/miss_reason").textValue()).isEqualTo("evicted_state");
    }

    @Test
    void everyReasonHasItsWord() throws IOException {
        List<String> words = List.of("none", "short", "cold", "diverged", "no_snapshot", "evicted_state", "evicted_kv", "disabled");
        assertThat(MissReason.values()).hasSize(words.size());
        for (int i = 0; i < words.size(); i++) {
            var explanation = new CacheExplanation(0, 0, Optional.empty(), MissReason.values()[i], OptionalInt.empty());
            JsonNode cache = usage(one(Endpoint.CHAT, ",\"cache_explain\":true", admitted(0, explanation))).get("sidewinder_cache");
            assertThat(cache.get("miss_reason").textValue()).isEqualTo(words.get(i));
        }
    }
}
