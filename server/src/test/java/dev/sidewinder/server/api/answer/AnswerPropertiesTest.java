package dev.sidewinder.server.api.answer;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sidewinder.engine.FinishReason;
import dev.sidewinder.server.api.ApiLimits;
import dev.sidewinder.server.api.ApiOptions;
import dev.sidewinder.server.api.Endpoint;
import dev.sidewinder.server.api.FakeModel;
import dev.sidewinder.server.api.FakeText;
import dev.sidewinder.server.api.ReasoningFields;
import dev.sidewinder.server.api.ThinkingDefaults;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/// What holds for every answer, whatever the tokens: a joined stream is the plain answer, and the wire rules of
/// docs/api.md.
class AnswerPropertiesTest {

    private static final int ROUNDS = 1_000;
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String TOOLS = ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"parameters\":"
            + "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}}}]";
    private static final List<String> STOPS = List.of("STOP", "OPa", "lo w", "\u00e9", "\n");
    private static final String CALL = "\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n";

    @Test
    void joinedChatStreamsEqualPlainAnswers() throws Exception {
        for (int round = 0; round < ROUNDS; round++) {
            long seed = 1_000_003L * round + 17;
            Random random = new Random(seed);
            // given a request with random options, and random tokens
            int choices = 1 + random.nextInt(3);
            String fields = chatFields(random, choices);
            ApiOptions options = new ApiOptions(ApiLimits.standard(), false,
                    ReasoningFields.values()[random.nextInt(4)], ThinkingDefaults.standard());
            List<int[]> tokens = tokens(random, choices);

            // when it is answered in both ways
            String start = "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" + fields;
            Script.Outcome streamed = play(random.nextLong(), start + ",\"stream\":true,\"stream_interval\":"
                    + (1 + random.nextInt(4)) + ",\"stream_options\":{\"include_usage\":true}}", options, tokens).stream();
            Script.Outcome plain = play(random.nextLong(), start + "}", options, tokens).plain();

            // then they say the same
            String what = "seed " + seed + "\n" + fields + "\n" + streamed.text() + "\n" + plain.text();
            JsonNode answer = JSON.readTree(plain.text());
            List<Joined> joined = join(streamed.text(), choices, what);
            assertThat(streamed.usage()).as(what).isEqualTo(plain.usage());
            assertThat(answer.get("choices")).as(what).hasSize(choices);
            for (int i = 0; i < choices; i++) {
                assertSame(joined.get(i), answer.get("choices").get(i), what);
            }
            assertThat(streamed.cancelled()).as(what).containsExactlyInAnyOrderElementsOf(plain.cancelled());
        }
    }

    @Test
    void joinedTextsEqualPlainAnswersOnBothTextRoutes() throws Exception {
        for (int round = 0; round < ROUNDS; round++) {
            long seed = 2_000_003L * round + 29;
            Random random = new Random(seed);
            // given a text request with stop strings, and random tokens
            Endpoint endpoint = random.nextBoolean() ? Endpoint.COMPLETIONS : Endpoint.GENERATE;
            int maxTokens = 1 + random.nextInt(30);
            boolean hasStops = random.nextBoolean();
            boolean keepsStop = random.nextBoolean();
            int minTokens = random.nextInt(2);
            String fields = "{\"prompt\":\"go\",\"max_tokens\":" + maxTokens + ",\"min_tokens\":"
                    + minTokens + (hasStops ? ",\"stop\":" + JSON.writeValueAsString(STOPS) : "")
                    + (keepsStop ? ",\"include_stop_str_in_output\":true" : "")
                    + (endpoint == Endpoint.COMPLETIONS ? ",\"logprobs\":1,\"return_token_ids\":true" : "");
            List<int[]> tokens = tokens(random, 1);

            // when it is answered in both ways
            Script.Outcome streamed = play(1, endpoint, fields + ",\"stream\":true}", ApiOptions.standard(), tokens).stream();
            Script.Outcome plain = play(1, endpoint, fields + "}", ApiOptions.standard(), tokens).plain();

            // then they say the same
            String what = "seed " + seed + "\n" + fields + "\n" + streamed.text() + "\n" + plain.text();
            JsonNode answer = JSON.readTree(plain.text());
            boolean isText = endpoint == Endpoint.COMPLETIONS;
            JsonNode whole = isText ? answer.get("choices").get(0) : answer;
            var text = new StringBuilder(isText ? "" : "go");
            List<Integer> ids = new ArrayList<>();
            List<JsonNode> offsets = new ArrayList<>();
            String finishReason = null;
            for (String event : streamed.text().replace("data: [DONE]\n\n", "").split("\n\n")) {
                assertThat(finishReason).as(what).isNull();
                JsonNode chunk = JSON.readTree(event.substring("data: ".length()));
                JsonNode choice = isText ? chunk.get("choices").get(0) : chunk;
                text.append(choice.get("text").textValue());
                if (isText) {
                    choice.get("token_ids").forEach(id -> ids.add(id.intValue()));
                    choice.get("logprobs").path("text_offset").forEach(offsets::add);
                } else {
                    ids.add(choice.get("id").intValue());
                    assertThat(choice.get("index").intValue()).as(what).isEqualTo(ids.size() - 1);
                    assertThat(choice.get("logprob").isNumber()).as(what).isTrue();
                }
                finishReason = choice.get("finish_reason").isNull() ? null : choice.get("finish_reason").textValue();
            }
            assertThat(text.toString()).as(what).isEqualTo((isText ? whole.get("text") : whole.get("text").get(0)).textValue());
            assertThat(finishReason).as(what).isEqualTo(whole.get("finish_reason").textValue());
            if (minTokens == 0) {
                // and it is what a plain search in the whole text finds
                int count = Math.min(tokens.getFirst().length, maxTokens);
                String said = new FakeText().decode(Arrays.copyOf(tokens.getFirst(), count), true);
                assertThat(text.substring(isText ? 0 : 2)).as(what).isEqualTo(hasStops ? cut(said, keepsStop) : said);
            }
            assertThat(JSON.valueToTree(ids).toString()).as(what).isEqualTo(whole.get("token_ids").toString());
            assertThat(ids).as(what).hasSize((int) plain.usage().completionTokens());
            assertThat(streamed.usage()).as(what).isEqualTo(plain.usage());
            if (isText) {
                assertThat(JSON.valueToTree(offsets).toString()).as(what)
                        .isEqualTo(whole.get("logprobs").get("text_offset").toString());
            }
        }
    }

    /// The text up to the stop string that ends first.
    private static String cut(String text, boolean keepsStop) {
        for (int end = 1; end <= text.length(); end++) {
            String before = text.substring(0, end);
            int length = STOPS.stream().filter(before::endsWith).mapToInt(String::length).max().orElse(0);
            if (length > 0) {
                return keepsStop ? before : before.substring(0, end - length);
            }
        }
        return text;
    }

    private static String chatFields(Random random, int choices) {
        var fields = new StringBuilder(",\"n\":" + choices + ",\"max_tokens\":" + (1 + random.nextInt(40)));
        fields.append(",\"enable_thinking\":").append(random.nextBoolean());
        fields.append(random.nextBoolean() ? TOOLS : "");
        fields.append(random.nextInt(3) == 0 ? ",\"stop\":[\"STOP\",\"lo w\",\"a\"]" : "");
        fields.append(random.nextInt(3) == 0 ? ",\"min_tokens\":1" : "");
        fields.append(random.nextInt(3) == 0 ? ",\"include_stop_str_in_output\":true" : "");
        fields.append(random.nextInt(3) == 0 ? ",\"parallel_tool_calls\":false" : "");
        fields.append(random.nextInt(3) == 0 ? ",\"include_reasoning\":false" : "");
        fields.append(random.nextInt(3) == 0 ? ",\"force_nonempty_content\":false" : "");
        fields.append(random.nextInt(3) == 0 ? ",\"skip_special_tokens\":false" : "");
        fields.append(",\"logprobs\":true,\"top_logprobs\":1,\"return_token_ids\":true");
        return fields.toString();
    }

    private static List<int[]> tokens(Random random, int choices) {
        List<int[]> all = new ArrayList<>();
        for (int c = 0; c < choices; c++) {
            List<Integer> ids = new ArrayList<>();
            for (int i = random.nextInt(12); i >= 0; i--) {
                switch (random.nextInt(8)) {
                    case 0 -> ids.add(FakeText.THINK_END);
                    case 1 -> ids.add(random.nextBoolean() ? FakeText.TOOL_CALL : FakeText.TOOL_CALL_END);
                    case 2 -> ids.add(FakeText.byteToken(random.nextInt(256)));
                    case 3 -> ids.add(random.nextBoolean() ? FakeText.THINK : FakeText.byteToken('a'));
                    case 4 -> {
                        ids.add(FakeText.TOOL_CALL);
                        for (int id : new FakeText().encode(CALL, false)) {
                            ids.add(id);
                        }
                        ids.add(FakeText.TOOL_CALL_END);
                    }
                    default -> ids.add(FakeText.word(FakeText.WORDS.get(random.nextInt(FakeText.WORDS.size()))));
                }
            }
            all.add(ids.stream().mapToInt(Integer::intValue).toArray());
        }
        return all;
    }

    /// Interleaves the choices at random; each ends with a stop token or at its limit.
    private static Script play(long order, String body, ApiOptions options, List<int[]> tokens) {
        return play(order, Endpoint.CHAT, body, options, tokens);
    }

    private static Script play(long order, Endpoint endpoint, String body, ApiOptions options, List<int[]> tokens) {
        Script script = Script.of(endpoint, body, options, FakeModel.withText());
        int maxTokens = script.plan.requests().getFirst().maxTokens();
        Random random = new Random(order);
        int[] at = new int[tokens.size()];
        List<Integer> open = new ArrayList<>();
        for (int c = 0; c < tokens.size(); c++) {
            open.add(c);
        }
        while (!open.isEmpty()) {
            Integer choice = open.get(random.nextInt(open.size()));
            if (at[choice] == maxTokens) {
                script.finish(0, choice, FinishReason.LENGTH);
                open.remove(choice);
            } else if (at[choice] == tokens.get(choice).length) {
                script.stop(choice);
                open.remove(choice);
            } else {
                script.token(0, choice, tokens.get(choice)[at[choice]++], false);
            }
        }
        return script;
    }

    /// One choice, put together as a client does it.
    private static final class Joined {
        final StringBuilder content = new StringBuilder();
        final StringBuilder reasoning = new StringBuilder();
        final StringBuilder reasoningContent = new StringBuilder();
        final List<String> calls = new ArrayList<>();
        final List<StringBuilder> arguments = new ArrayList<>();
        final List<JsonNode> logprobs = new ArrayList<>();
        final List<Integer> ids = new ArrayList<>();
        String finishReason;
        boolean hasRole;
    }

    private static List<Joined> join(String wire, int choices, String what) throws Exception {
        List<Joined> joined = new ArrayList<>();
        for (int i = 0; i < choices; i++) {
            joined.add(new Joined());
        }
        assertThat(wire).as(what).endsWith("data: [DONE]\n\n");
        String[] events = wire.split("\n\n");
        JsonNode first = JSON.readTree(events[0].substring("data: ".length()));
        for (int e = 0; e < events.length - 1; e++) {
            assertThat(events[e]).as(what).startsWith("data: {").doesNotContain("\n");
            JsonNode chunk = JSON.readTree(events[e].substring("data: ".length()));
            for (String name : List.of("id", "object", "created", "model", "system_fingerprint")) {
                assertThat(chunk.get(name)).as(what).isNotNull().isEqualTo(first.get(name));
            }
            assertThat(chunk.has("error")).as(what).isFalse();
            boolean isLast = e == events.length - 2;
            assertThat(chunk.has("usage")).as(what).isEqualTo(isLast);
            assertThat(chunk.get("choices")).as(what).hasSize(isLast ? 0 : 1);
            if (!isLast) {
                JsonNode choice = chunk.get("choices").get(0);
                assertThat(e < choices).as(what).isEqualTo(choice.get("delta").has("role"));
                take(joined.get(choice.get("index").intValue()), choice, what);
            }
        }
        return joined;
    }

    private static void take(Joined joined, JsonNode choice, String what) {
        assertThat(joined.finishReason).as(what).isNull();
        assertThat(choice.has("finish_reason")).as(what).isTrue();
        assertThat(choice.has("logprobs")).as(what).isTrue();
        JsonNode delta = choice.get("delta");
        assertThat(delta.isObject()).as(what).isTrue();
        if (delta.has("role")) {
            assertThat(joined.hasRole).as(what).isFalse();
            joined.hasRole = true;
        }
        assertThat(joined.hasRole).as(what).isTrue();
        assertThat(delta.has("content") && (delta.has("reasoning") || delta.has("reasoning_content"))).as(what).isFalse();
        joined.content.append(delta.path("content").asText(""));
        joined.reasoning.append(delta.path("reasoning").asText(""));
        joined.reasoningContent.append(delta.path("reasoning_content").asText(""));
        for (JsonNode call : delta.path("tool_calls")) {
            int index = call.get("index").intValue();
            JsonNode function = call.get("function");
            if (index == joined.calls.size()) {
                assertThat(call.get("id").textValue()).as(what).matches("call_[A-Za-z0-9]{24}");
                assertThat(call.get("type").textValue()).as(what).isEqualTo("function");
                assertThat(function.get("arguments").textValue()).as(what).isEmpty();
                joined.calls.add(function.get("name").textValue());
                joined.arguments.add(new StringBuilder());
            } else {
                assertThat(index).as(what).isEqualTo(joined.calls.size() - 1);
                assertThat(call.has("id") || call.has("type") || function.has("name")).as(what).isFalse();
                joined.arguments.get(index).append(function.get("arguments").textValue());
            }
        }
        choice.get("logprobs").path("content").forEach(joined.logprobs::add);
        choice.path("token_ids").forEach(id -> joined.ids.add(id.intValue()));
        joined.finishReason = choice.get("finish_reason").isNull() ? null : choice.get("finish_reason").textValue();
        if (joined.finishReason != null) {
            assertThat(delta.isEmpty()).as(what).isTrue();
            assertThat(joined.finishReason).as(what).isIn("stop", "length", "tool_calls");
        }
    }

    private static void assertSame(Joined joined, JsonNode choice, String what) throws Exception {
        JsonNode message = choice.get("message");
        String content = message.get("content").isNull() ? "" : message.get("content").textValue();
        assertThat(joined.content.toString()).as(what).isEqualTo(content);
        assertThat(joined.reasoning.toString()).as(what).isEqualTo(message.path("reasoning").asText(""));
        assertThat(joined.reasoningContent.toString()).as(what).isEqualTo(message.path("reasoning_content").asText(""));
        assertThat(joined.finishReason).as(what).isEqualTo(choice.get("finish_reason").textValue());
        assertThat(joined.calls).as(what).hasSize(message.path("tool_calls").size());
        for (int i = 0; i < joined.calls.size(); i++) {
            JsonNode function = message.get("tool_calls").get(i).get("function");
            assertThat(joined.calls.get(i)).as(what).isEqualTo(function.get("name").textValue());
            assertThat(joined.arguments.get(i).toString()).as(what).isEqualTo(function.get("arguments").textValue());
            if (!joined.finishReason.equals("length")) {
                assertThat(JSON.readTree(joined.arguments.get(i).toString()).isObject()).as(what).isTrue();
            }
        }
        List<JsonNode> logprobs = new ArrayList<>();
        choice.get("logprobs").get("content").forEach(logprobs::add);
        assertThat(joined.logprobs).as(what).isEqualTo(logprobs);
        List<Integer> ids = new ArrayList<>();
        choice.get("token_ids").forEach(id -> ids.add(id.intValue()));
        assertThat(joined.ids).as(what).isEqualTo(ids).hasSameSizeAs(logprobs);
        assertThat(message.get("content").isNull()).as(what).isEqualTo(content.isEmpty() && !joined.calls.isEmpty());
    }
}
