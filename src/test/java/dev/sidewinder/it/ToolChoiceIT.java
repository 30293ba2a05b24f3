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

/// Calls forced out of a model with random weights, which knows nothing of tools: what comes is the grammar's doing.
class ToolChoiceIT {

    private static final String HELLO = "\"messages\":[{\"role\":\"user\",\"content\":\"Hello <tool_call> there\"}]";
    private static final String TOOLS = ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"parameters\":"
            + "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}}},"
            + "{\"type\":\"function\",\"function\":{\"name\":\"get_time\"}}]";
    private static final String NAMED = ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"get_time\"}}";
    private static final String REQUIRED = ",\"tool_choice\":\"required\"";
    private static final String QUIET = ",\"enable_thinking\":false";

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

    private static JsonNode chat(String fields) throws Exception {
        Api.Answer answer = api.post("/v1/chat/completions", "{" + HELLO + fields + "}");
        assertThat(answer.status()).as(answer.text()).isEqualTo(200);
        return answer.json();
    }

    /// Checks an answer that had to be calls, and counts the complete ones.
    private static int checkCalls(JsonNode choice, boolean named) {
        String as = choice.toString();
        boolean cut = choice.path("finish_reason").asText().equals("length");
        JsonNode calls = choice.at("/message/tool_calls");
        if (!cut) {
            assertThat(choice.path("finish_reason").asText()).as(as).isEqualTo(named ? "stop" : "tool_calls");
            assertThat(calls).as(as).isNotEmpty();
            assertThat(choice.at("/message/content").isNull()).as(as).isTrue();
        }
        int complete = 0;
        for (int i = 0; i < calls.size(); i++) {
            assertThat(calls.get(i).at("/function/name").asText()).as(as).isIn(named ? List.of("get_time") : List.of("get_time", "get_weather"));
            if (!cut || i < calls.size() - 1) {
                assertThat(Api.parse(calls.get(i).at("/function/arguments").asText()).isObject()).as(as).isTrue();
                complete++;
            }
        }
        return complete;
    }

    @Test
    void requiredGivesWellFormedCallsWhateverTheModelWants() throws Exception {
        int complete = 0;
        for (int seed = 0; seed < 25; seed++) {
            JsonNode answer = chat(TOOLS + REQUIRED + QUIET + ",\"max_tokens\":150,\"temperature\":1.2,\"n\":2,\"seed\":" + seed);
            for (JsonNode choice : answer.path("choices")) {
                complete += checkCalls(choice, false);
            }
        }
        System.out.println("ToolChoiceIT: " + complete + " complete calls");
        assertThat(complete).isPositive();
        api.awaitRest();
    }

    @Test
    void strictArgumentsFitTheirSchemaWhateverTheModelWants() throws Exception {
        String tool = ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"book\",\"strict\":true,\"parameters\":{\"type\":\"object\","
                + "\"properties\":{\"class\":{\"type\":\"string\",\"enum\":[\"economy\",\"business\"]},\"seats\":{\"type\":\"integer\"},"
                + "\"window\":{\"type\":[\"boolean\",\"null\"]},\"legs\":{\"type\":\"array\",\"maxItems\":2,\"items\":{\"type\":\"object\",\"properties\":"
                + "{\"from\":{\"enum\":[\"OSL\",\"CDG\"]}},\"required\":[\"from\"],\"additionalProperties\":false}}},"
                + "\"required\":[\"class\",\"seats\",\"legs\"],\"additionalProperties\":false}}}]";
        int complete = 0;
        for (int seed = 0; seed < 20; seed++) {
            for (JsonNode choice : chat(tool + REQUIRED + QUIET + ",\"max_tokens\":400,\"temperature\":1.5,\"parallel_tool_calls\":false,"
                    + "\"n\":2,\"seed\":" + seed).path("choices")) {
                String as = choice.toString();
                if (choice.path("finish_reason").asText().equals("length")) {
                    continue;
                }
                complete++;
                JsonNode arguments = Api.parse(choice.at("/message/tool_calls/0/function/arguments").asText());
                assertThat(arguments.path("class").asText()).as(as).isIn("economy", "business");
                assertThat(arguments.path("seats").isIntegralNumber()).as(as).isTrue();
                assertThat(arguments.path("legs").isArray()).as(as).isTrue();
                assertThat(arguments.path("legs").size()).as(as).isLessThanOrEqualTo(2);
                arguments.path("legs").forEach(leg -> assertThat(leg.path("from").asText()).as(as).isIn("OSL", "CDG"));
                assertThat(arguments.has("window") && !arguments.get("window").isBoolean() && !arguments.get("window").isNull()).as(as).isFalse();
                assertThat(List.of("class", "seats", "legs", "window")).as(as).containsAll(arguments.properties().stream().map(java.util.Map.Entry::getKey).toList());
            }
        }
        System.out.println("ToolChoiceIT: " + complete + " of 40 strict calls complete");
        assertThat(complete).isGreaterThan(35);
    }

    @Test
    void aStrictSchemaThatCannotBeKeptIsRefused() throws Exception {
        Api.Answer answer = api.post("/v1/chat/completions", "{" + HELLO + ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true,"
                + "\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"(a+)+$\"}}}}}]}");
        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.code()).isEqualTo("invalid_json_schema");
        assertThat(answer.text()).contains("'pattern' cannot be enforced");
    }

    @Test
    void aNamedFunctionIsTheOneThatIsCalledOnce() throws Exception {
        int complete = 0;
        for (int seed = 0; seed < 25; seed++) {
            JsonNode choice = chat(TOOLS + NAMED + QUIET + ",\"max_tokens\":60,\"temperature\":1.2,\"seed\":" + seed).at("/choices/0");
            complete += checkCalls(choice, true);
            assertThat(choice.at("/message/tool_calls").size()).isLessThanOrEqualTo(1);
        }
        assertThat(complete).isPositive();
    }

    @Test
    void oneCallIsTheEndWhereCallsMayNotBeParallel() throws Exception {
        for (int seed = 0; seed < 10; seed++) {
            JsonNode answer = chat(TOOLS + REQUIRED + QUIET + ",\"parallel_tool_calls\":false,\"ignore_eos\":true,\"min_tokens\":60,"
                    + "\"max_tokens\":60,\"return_token_ids\":true,\"temperature\":1,\"seed\":" + seed);
            JsonNode choice = answer.at("/choices/0");
            checkCalls(choice, false);
            if (!choice.path("finish_reason").asText().equals("length")) {
                assertThat(choice.at("/message/tool_calls")).hasSize(1);
                JsonNode ids = choice.path("token_ids");
                assertThat(ids.get(ids.size() - 1).asInt()).as("the closing tag is the last token").isEqualTo(15);
            }
        }
    }

    @Test
    void aStreamJoinsToThePlainAnswer() throws Exception {
        for (int seed = 0; seed < 8; seed++) {
            String request = TOOLS + REQUIRED + QUIET + ",\"max_tokens\":80,\"temperature\":1,\"seed\":" + seed;
            JsonNode plain = chat(request).at("/choices/0");
            List<StringBuilder> arguments = new ArrayList<>();
            List<String> names = new ArrayList<>();
            String finish = "";
            try (EventReader stream = api.stream("/v1/chat/completions", "{" + HELLO + request + ",\"stream\":true}")) {
                for (EventReader.Event event : stream.all()) {
                    if (event.isDone()) {
                        continue;
                    }
                    finish = event.json().at("/choices/0/finish_reason").asText();
                    for (JsonNode call : event.json().at("/choices/0/delta/tool_calls")) {
                        if (call.path("index").asInt() == arguments.size()) {
                            arguments.add(new StringBuilder());
                            names.add(call.at("/function/name").asText());
                        }
                        arguments.get(call.path("index").asInt()).append(call.at("/function/arguments").asText());
                    }
                }
            }
            assertThat(finish).isEqualTo(plain.path("finish_reason").asText());
            assertThat(names).hasSize(plain.at("/message/tool_calls").size());
            for (int i = 0; i < names.size(); i++) {
                assertThat(names.get(i)).isEqualTo(plain.at("/message/tool_calls/" + i + "/function/name").asText());
                assertThat(arguments.get(i).toString()).isEqualTo(plain.at("/message/tool_calls/" + i + "/function/arguments").asText());
            }
        }
    }

    @Test
    void reasoningIsFreeButTheTurnDoesNotEndInIt() throws Exception {
        // given stop tokens that the model likes no less than any other
        for (int seed = 0; seed < 5; seed++) {
            JsonNode choice = chat(TOOLS + REQUIRED + ",\"max_tokens\":40,\"temperature\":2,\"logit_bias\":{\"11\":100,\"2\":100},\"seed\":" + seed)
                    .at("/choices/0");
            assertThat(choice.path("finish_reason").asText()).isIn("length", "tool_calls");
        }
    }

    @Test
    void otherFieldsDoNotDeadlockIt() throws Exception {
        String[] fields = {",\"min_tokens\":30", ",\"ignore_eos\":true", ",\"stop\":[\"<function\",\"\\n\"]", ",\"stop_token_ids\":[14,15]",
                ",\"logit_bias\":{\"14\":-100,\"15\":-100}", ",\"bad_words\":[\"<\",\"function\"]", ",\"logprobs\":true,\"top_logprobs\":3",
                ",\"response_format\":{\"type\":\"json_object\"}", ",\"presence_penalty\":2,\"repetition_penalty\":1.5", ",\"top_k\":1",
                ",\"top_p\":0", ",\"min_p\":1", ",\"parallel_tool_calls\":false"};
        for (String field : fields) {
            JsonNode choice = chat(TOOLS + NAMED + QUIET + ",\"max_tokens\":40,\"temperature\":1,\"seed\":3" + field).at("/choices/0");
            assertThat(choice.path("finish_reason").asText()).as(field).isIn("length", "stop");
            // the frame stands, whatever else was asked for
            boolean stopsAtTheTag = field.contains("[14,15]");
            assertThat(choice.at("/message/tool_calls").isEmpty()).as(field + choice).isEqualTo(stopsAtTheTag);
        }
    }

    @Test
    void aMaskThatMeetsAnotherOneEndsTheChoiceAndIsCounted() throws Exception {
        double before = api.metric("sidewinder_grammar_dead_end_total{engine=\"0\"}");
        JsonNode choice = chat(TOOLS + REQUIRED + QUIET + ",\"max_tokens\":10,\"allowed_token_ids\":[50,51]").at("/choices/0");

        assertThat(choice.path("finish_reason").asText()).isEqualTo("stop");
        assertThat(choice.at("/message/tool_calls").isMissingNode()).isTrue();
        assertThat(api.metric("sidewinder_grammar_dead_end_total{engine=\"0\"}")).isEqualTo(before + 1);
    }

    @Test
    void logProbabilitiesAreTheModelsOwn() throws Exception {
        JsonNode choice = chat(TOOLS + REQUIRED + QUIET + ",\"max_tokens\":5,\"temperature\":0,\"logprobs\":true,\"top_logprobs\":2").at("/choices/0");

        // greedy, and still not the most likely: the mask took that away, and the numbers do not hide it
        JsonNode first = choice.at("/logprobs/content/0");
        assertThat(first.path("logprob").asDouble()).isNegative().isLessThan(first.at("/top_logprobs/0/logprob").asDouble());
    }

    @Test
    void aSeedGivesTheSameCallsWhateverElseRuns() throws Exception {
        String seeded = TOOLS + REQUIRED + QUIET + ",\"max_tokens\":60,\"temperature\":1,\"seed\":9,\"n\":2,\"logprobs\":true";
        JsonNode alone = withoutIds(chat(seeded).path("choices"));
        List<Callable<JsonNode>> calls = new ArrayList<>();
        for (int i = 0; i < 16; i++) {
            String fields = i % 4 == 0 ? seeded : TOOLS + (i % 2 == 0 ? NAMED : "") + ",\"max_tokens\":" + (20 + 5 * i);
            calls.add(() -> chat(fields).path("choices"));
        }
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<JsonNode>> answers = threads.invokeAll(calls);
            for (int i = 0; i < 16; i += 4) {
                assertThat(withoutIds(answers.get(i).get())).isEqualTo(alone);
            }
        }
        api.awaitRest();
    }

    private static JsonNode withoutIds(JsonNode choices) {
        return Api.parse(choices.toString().replaceAll("call_[0-9A-Za-z]{24}", "call"));
    }
}
