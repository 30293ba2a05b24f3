package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.Script;
import dev.sidewinder.it.support.ServerProcess;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Budgets for the reasoning of a model that would think on, over HTTP.
class ThinkingBudgetIT {

    private static final String HELLO = "\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]";
    private static final int THINK_END = 13;

    @TempDir
    static Path folder;

    private static ServerProcess server;
    private static Api api;
    private static List<Integer> freeTokens;

    @BeforeAll
    static void start() throws Exception {
        server = ServerProcess.start("--model", Script.write(folder).toString(), "--chat-effort-budgets", "2,4,6");
        api = server.api();
        freeTokens = tokens(choice(""));
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    private static JsonNode answer(String fields) throws Exception {
        Api.Answer answer = api.post("/v1/chat/completions",
                "{" + HELLO + ",\"temperature\":0,\"max_tokens\":200,\"return_token_ids\":true" + fields + "}");
        assertThat(answer.status()).as(answer.text()).isEqualTo(200);
        return answer.json();
    }

    private static JsonNode choice(String fields) throws Exception {
        return answer(fields).at("/choices/0");
    }

    private static List<Integer> tokens(JsonNode choice) {
        List<Integer> tokens = new ArrayList<>();
        choice.path("token_ids").forEach(id -> tokens.add(id.asInt()));
        return tokens;
    }

    private static List<Integer> closing() throws Exception {
        List<Integer> tokens = new ArrayList<>();
        api.post("/tokenize", "{\"prompt\":\"\\n\\n</think>\",\"add_special_tokens\":false}").json().path("tokens")
                .forEach(id -> tokens.add(id.asInt()));
        assertThat(tokens.getLast()).isEqualTo(THINK_END);
        return tokens;
    }

    @Test
    void theModelThinksOnWithoutABudget() throws Exception {
        JsonNode free = answer("");
        assertThat(free.at("/choices/0/message/reasoning").asText().strip()).isEqualTo(Script.REASONING);
        assertThat(free.at("/choices/0/message/content").asText()).isEqualTo(Script.ANSWER);
        assertThat(free.at("/usage/completion_tokens_details/reasoning_tokens").asInt()).isGreaterThan(5);
    }

    @Test
    void closesTheReasoningWhereTheBudgetIsSpentAndAnswers() throws Exception {
        for (int budget : new int[] {0, 1, 5}) {
            JsonNode answer = answer(",\"thinking_token_budget\":" + budget + ",\"thinking_budget_grace\":0");
            JsonNode choice = answer.at("/choices/0");

            // as many tokens as without a budget, then the closing text, then what follows a closed reasoning
            List<Integer> expected = new ArrayList<>(freeTokens.subList(0, budget));
            expected.addAll(closing());
            assertThat(tokens(choice).subList(0, expected.size())).isEqualTo(expected);
            assertThat(choice.at("/message/content").asText()).isEqualTo(Script.ANSWER);
            assertThat(choice.path("finish_reason").asText()).isEqualTo("stop");
            assertThat(answer.at("/usage/completion_tokens_details/reasoning_tokens").asInt()).isEqualTo(expected.size());
            assertThat(answer.at("/usage/completion_tokens").asInt()).isEqualTo(tokens(choice).size());
        }
    }

    @Test
    void waitsThroughTheGraceForANewline() throws Exception {
        // the reasoning has no newline before its end
        List<Integer> expected = new ArrayList<>(freeTokens.subList(0, 5));
        expected.addAll(closing());
        assertThat(tokens(choice(",\"thinking_budget\":2,\"thinking_budget_grace\":3"))).startsWith(expected.toArray(Integer[]::new));
        assertThat(tokens(choice(",\"thinking_budget\":2"))).as("the usual grace is longer than the reasoning").isEqualTo(freeTokens);
    }

    @Test
    void effortsStandForBudgets() throws Exception {
        String now = ",\"thinking_budget_grace\":0";
        assertThat(tokens(choice(now + ",\"reasoning_effort\":\"minimal\"")).indexOf(THINK_END)).isEqualTo(2 + closing().size() - 1);
        assertThat(tokens(choice(now + ",\"reasoning\":{\"effort\":\"low\"}")).indexOf(THINK_END)).isEqualTo(4 + closing().size() - 1);
        assertThat(tokens(choice(now + ",\"reasoning_effort\":\"high\""))).isEqualTo(freeTokens);
        assertThat(tokens(choice(now + ",\"reasoning_effort\":\"low\",\"thinking_token_budget\":-1"))).isEqualTo(freeTokens);
        assertThat(tokens(choice(now + ",\"reasoning\":{\"max_tokens\":1}")).indexOf(THINK_END)).isEqualTo(1 + closing().size() - 1);
        assertThat(choice(now + ",\"reasoning_effort\":\"none\"").at("/message/reasoning").isMissingNode()).isTrue();
    }

    @Test
    void theMaximumOfTokensWins() throws Exception {
        JsonNode choice = choice(",\"thinking_token_budget\":3,\"thinking_budget_grace\":0,\"max_completion_tokens\":4");
        assertThat(choice.path("finish_reason").asText()).isEqualTo("length");
        assertThat(tokens(choice)).hasSize(4);
        assertThat(choice.at("/message/content").asText()).isEmpty();
    }

    @Test
    void forcedTokensHaveTheModelsLogProbabilities() throws Exception {
        JsonNode content = choice(",\"thinking_token_budget\":3,\"thinking_budget_grace\":0,\"logprobs\":true,\"top_logprobs\":1")
                .at("/logprobs/content");
        // the model wanted to think on
        JsonNode forced = content.get(3);
        assertThat(forced.path("token").asText()).isNotEqualTo(forced.at("/top_logprobs/0/token").asText());
        assertThat(forced.path("logprob").asDouble()).isLessThan(forced.at("/top_logprobs/0/logprob").asDouble());
    }

    @Test
    void everyChoiceHasItsOwnBudgetInStreamsToo() throws Exception {
        String fields = ",\"thinking_token_budget\":3,\"thinking_budget_grace\":0";
        String reasoning = choice(fields).at("/message/reasoning").asText();
        String[] streamed = {"", ""};
        String[] content = {"", ""};
        try (EventReader stream = api.stream("/v1/chat/completions",
                "{" + HELLO + ",\"temperature\":0,\"max_tokens\":200,\"n\":2,\"stream\":true" + fields + "}")) {
            for (EventReader.Event event : stream.all()) {
                if (!event.isDone()) {
                    int index = event.json().at("/choices/0/index").asInt();
                    streamed[index] += event.json().at("/choices/0/delta/reasoning").asText("");
                    content[index] += event.json().at("/choices/0/delta/content").asText("");
                }
            }
        }
        assertThat(streamed).containsExactly(reasoning, reasoning);
        assertThat(content).containsExactly(Script.ANSWER, Script.ANSWER);
    }

    @Test
    void aForcedCallFollows() throws Exception {
        JsonNode choice = api.post("/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"" + Script.TOOL_QUESTION
                + "\"}],\"temperature\":0,\"max_tokens\":200,\"thinking_token_budget\":2,\"thinking_budget_grace\":0,"
                + "\"tool_choice\":\"required\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"parameters\":"
                + "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},\"days\":{\"type\":\"integer\"}}}}}]}")
                .json().at("/choices/0");
        assertThat(choice.path("finish_reason").asText()).isEqualTo("tool_calls");
        assertThat(choice.at("/message/tool_calls/0/function/arguments").asText()).isEqualToIgnoringWhitespace(Script.TOOL_ARGUMENTS);
        assertThat(choice.at("/message/reasoning").asText()).isNotEmpty();
    }
}
