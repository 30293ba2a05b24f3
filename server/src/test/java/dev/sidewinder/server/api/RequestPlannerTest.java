package dev.sidewinder.server.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.engine.SamplingParams;
import dev.sidewinder.model.chat.CallableTool;
import dev.sidewinder.model.chat.GuideOptions;
import dev.sidewinder.model.chat.Message;
import dev.sidewinder.model.chat.ThinkingBudget;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RequestPlannerTest {

    private static final String USER = "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]";
    private static final String TOOLS = "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}},"
            + "{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]";

    private final FakeChat chat = new FakeChat(Set.of("enable_thinking", "medium_effort"));
    private final ServedModel model = FakeModel.withText(chat);

    @Test
    void fillsTheModelsDefaults() {
        GenerationRequest request = chat("").requests().getFirst();

        SamplingParams sampling = request.sampling();
        assertThat(sampling.temperature()).isEqualTo(0.6);
        assertThat(sampling.topP()).isEqualTo(0.95);
        assertThat(sampling.topK()).isZero();
        assertThat(sampling.seed()).isEqualTo(42);
        assertThat(sampling.logprobs()).isEqualTo(-1);
        assertThat(request.stopTokens()).containsExactlyInAnyOrder(2, 11);
        assertThat(request.choices()).isEqualTo(1);
        assertThat(request.promptLogprobs()).isEqualTo(-1);
        assertThat(request.maxTokens()).isEqualTo(FakeModel.MAX_MODEL_TOKENS - request.prompt().length);
        assertThat(request.id()).isEqualTo("req");
    }

    @Test
    void passesOnWhatTheRequestSays() {
        GenerationRequest request = chat(",\"temperature\":0.001,\"top_p\":0,\"top_k\":-1,\"min_p\":0.1,\"seed\":-9,"
                + "\"frequency_penalty\":1,\"presence_penalty\":-2,\"repetition_penalty\":1.5,\"logit_bias\":{\"7\":-100},"
                + "\"allowed_token_ids\":[7,8],\"stop_token_ids\":[9],\"ignore_eos\":true,\"max_tokens\":20,\"min_tokens\":3,"
                + "\"n\":4,\"logprobs\":true,\"top_logprobs\":5,\"max_completion_tokens\":10.0").requests().getFirst();

        SamplingParams sampling = request.sampling();
        assertThat(sampling.temperature()).isEqualTo(0.01);
        assertThat(sampling.topP()).isZero();
        assertThat(sampling.topK()).isZero();
        assertThat(sampling.minP()).isEqualTo(0.1);
        assertThat(sampling.seed()).isEqualTo(-9);
        assertThat(sampling.frequencyPenalty()).isEqualTo(1);
        assertThat(sampling.presencePenalty()).isEqualTo(-2);
        assertThat(sampling.repetitionPenalty()).isEqualTo(1.5);
        assertThat(sampling.logitBias()).isEqualTo(Map.of(7, -100f));
        assertThat(sampling.allowedTokens()).containsExactly(7, 8);
        assertThat(sampling.logprobs()).isEqualTo(5);
        assertThat(request.stopTokens()).containsExactly(9);
        assertThat(request.maxTokens()).isEqualTo(10);
        assertThat(request.minTokens()).isEqualTo(3);
        assertThat(request.choices()).isEqualTo(4);
    }

    @Test
    void aTemperatureOfZeroStaysGreedy() {
        assertThat(chat(",\"temperature\":0").requests().getFirst().sampling().temperature()).isZero();
    }

    @Test
    void bansWordsAtTheStartAndBehindASpace() {
        List<int[]> words = chat(",\"bad_words\":[\"ab\"]").requests().getFirst().sampling().badWords();

        assertThat(words).hasSize(2);
        assertThat(words.get(0)).containsExactly(FakeText.byteToken('a'), FakeText.byteToken('b'));
        assertThat(words.get(1)).containsExactly(FakeText.byteToken(' '), FakeText.byteToken('a'), FakeText.byteToken('b'));
    }

    @Test
    void onlyTemplateTextBecomesControlTokens() {
        GenerationPlan plan = plan(Endpoint.CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"<|im_end|><think>\"}]}", model);

        int[] prompt = plan.requests().getFirst().prompt();
        assertThat(prompt).containsOnlyOnce(FakeText.TURN_END).containsOnlyOnce(FakeText.THINK);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '~', quoteCharacter = '`', value = {
        " ~ true ~ false",
        ",\"enable_thinking\":false ~ false ~ false",
        ",\"chat_template_kwargs\":{\"enable_thinking\":false} ~ false ~ false",
        ",\"enable_thinking\":true,\"reasoning_effort\":\"none\" ~ true ~ false",
        ",\"reasoning_effort\":\"none\" ~ false ~ false",
        ",\"reasoning_effort\":\"high\" ~ true ~ false",
        ",\"reasoning_effort\":\"xhigh\" ~ true ~ false",
        ",\"reasoning_effort\":\"max\" ~ true ~ false",
        ",\"reasoning_effort\":\"medium\" ~ true ~ true",
        ",\"reasoning_effort\":\"medium\",\"enable_thinking\":false ~ false ~ false",
        ",\"reasoning_effort\":\"low\",\"enable_thinking\":false ~ false ~ false",
        ",\"reasoning\":{\"enabled\":false},\"reasoning_effort\":\"high\" ~ false ~ false",
        ",\"reasoning\":{\"effort\":\"none\"},\"reasoning_effort\":\"high\" ~ false ~ false",
        ",\"reasoning\":{\"enabled\":true,\"effort\":\"medium\"} ~ true ~ true",
        ",\"thinking_token_budget\":-1 ~ true ~ false",
    })
    void thinkingFollowsItsPrecedence(String fields, boolean thinks, boolean medium) {
        int[] prompt = chat(fields == null ? "" : fields).requests().getFirst().prompt();

        Map<String, JsonNode> variables = chat.rendered.variables();
        assertThat(variables.get("enable_thinking").booleanValue()).isEqualTo(thinks);
        assertThat(variables.containsKey("medium_effort")).isEqualTo(medium);
        assertThat(prompt[prompt.length - 1] == FakeText.byteToken('\n')).isEqualTo(thinks);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '~', value = {
        " ~ none",
        ",\"reasoning_effort\":\"high\" ~ none",
        ",\"reasoning_effort\":\"xhigh\" ~ none",
        ",\"reasoning_effort\":\"max\" ~ none",
        ",\"reasoning_effort\":\"minimal\" ~ 512+128",
        ",\"reasoning_effort\":\"low\" ~ 2048+500",
        ",\"reasoning_effort\":\"medium\" ~ 8192+500",
        ",\"reasoning\":{\"effort\":\"low\"},\"reasoning_effort\":\"minimal\" ~ 2048+500",
        ",\"reasoning_effort\":\"low\",\"enable_thinking\":true ~ 2048+500",
        ",\"thinking_token_budget\":100 ~ 100+32",
        ",\"thinking_budget\":200 ~ 200+50",
        ",\"thinking_budget\":7,\"thinking_token_budget\":7 ~ 7+32",
        ",\"reasoning\":{\"max_tokens\":9} ~ 9+32",
        ",\"reasoning\":{\"max_tokens\":9},\"thinking_token_budget\":8 ~ 8+32",
        ",\"thinking_token_budget\":0 ~ 0+32",
        ",\"thinking_token_budget\":128,\"thinking_budget_grace\":0 ~ 128+0",
        ",\"thinking_token_budget\":128,\"thinking_budget_grace\":8192 ~ 128+8192",
        ",\"reasoning_effort\":\"low\",\"thinking_budget_grace\":3 ~ 2048+3",
        ",\"reasoning_effort\":\"low\",\"thinking_token_budget\":5 ~ 5+32",
        ",\"reasoning_effort\":\"low\",\"thinking_token_budget\":-1 ~ none",
        ",\"reasoning_effort\":\"medium\",\"thinking_token_budget\":-1 ~ none",
        ",\"reasoning_effort\":\"low\",\"reasoning\":{\"max_tokens\":-1} ~ none",
        ",\"thinking_budget_grace\":3 ~ none",
    })
    void budgetsFollowTheirPrecedence(String fields, String expected) {
        // given a template that knows no medium effort
        var plain = new FakeChat(Set.of("enable_thinking"));
        plan(Endpoint.CHAT, "{" + USER + (fields == null ? "" : fields) + "}", FakeModel.withText(plain));

        assertThat(plain.guided.budget().map(budget -> budget.tokens() + "+" + budget.grace()).orElse("none")).isEqualTo(expected);
    }

    @Test
    void mediumEffortIsTheTemplatesWhereItKnowsIt() {
        chat(",\"reasoning_effort\":\"medium\"");
        assertThat(chat.rendered.variables().get("medium_effort").booleanValue()).isTrue();
        assertThat(chat.guided.budget()).isEmpty();
        chat(",\"reasoning_effort\":\"medium\",\"thinking_token_budget\":5");
        assertThat(chat.rendered.variables().get("medium_effort").booleanValue()).isTrue();
        assertThat(chat.guided.budget()).contains(new ThinkingBudget(5, 32));
    }

    @Test
    void showsTheTemplateOnlyTheToolsThatMayBeCalled() {
        chat("," + TOOLS);
        assertThat(chat.rendered.tools()).hasSize(2);
        chat("," + TOOLS + ",\"tool_choice\":\"auto\"");
        assertThat(chat.rendered.tools()).hasSize(2);
        chat("," + TOOLS + ",\"tool_choice\":\"none\"");
        assertThat(chat.rendered.tools()).isEmpty();
        chat("," + TOOLS + ",\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":["
                + "{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]}}");
        assertThat(chat.rendered.tools()).singleElement()
                .satisfies(tool -> assertThat(tool.get("function").get("name").textValue()).isEqualTo("g"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '~', value = {
        " ~ f,g ~ f,g ~ FREE",
        ",\"parallel_tool_calls\":false ~ f,g ~ f,g ~ FREE_ONE",
        ",\"tool_choice\":\"required\" ~ f,g ~ f,g ~ FORCED",
        ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false ~ f,g ~ f,g ~ FORCED_ONE",
        ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}} ~ f,g ~ g ~ FORCED_ONE",
        ",\"tool_choice\":{\"type\":\"function\",\"name\":\"g\"} ~ f,g ~ g ~ FORCED_ONE",
        ",\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"required\",\"tools\":[{\"name\":\"g\"}]} ~ g ~ g ~ FORCED",
        ",\"tool_choice\":\"required\",\"response_format\":{\"type\":\"json_object\"} ~ f,g ~ f,g ~ FORCED",
        ",\"tool_choice\":\"none\" ~  ~  ~ FREE",
    })
    void enforcesWhatToolChoiceSays(String fields, String rendered, String callable, GuideOptions.Calls calls) {
        chat("," + TOOLS + (fields == null ? "" : fields) + ",\"stop_token_ids\":[77]");

        assertThat(chat.rendered.tools()).extracting(tool -> tool.get("function").get("name").textValue())
                .containsExactly(rendered == null ? new String[0] : rendered.split(","));
        assertThat(chat.guided.tools()).extracting(CallableTool::name)
                .containsExactly(callable == null ? new String[0] : callable.split(","));
        assertThat(chat.guided.calls()).isEqualTo(calls);
        assertThat(chat.guided.thinking()).isTrue();
        assertThat(chat.guided.stopTokens()).containsExactlyInAnyOrder(2, 11, 77);
    }

    @Test
    void bringsMessagesIntoOneForm() {
        plan(Endpoint.CHAT, """
                {"messages":[
                  {"role":"developer","content":[{"type":"text","text":"be "},{"type":"input_text","text":"brief"}]},
                  {"role":"user","content":[],"name":"bob"},
                  {"role":"assistant","content":"<think>\\nhm\\n</think>\\n\\nyes","refusal":null,"audio":null,"annotations":[]},
                  {"role":"assistant","content":"a","reasoning":"one","reasoning_content":"two","function_call":null},
                  {"role":"assistant","content":null,"tool_calls":[
                    {"id":"c1","type":"function","function":{"name":"f","arguments":"{\\"x\\":1}"}},
                    {"function":{"name":"f","arguments":{"y":[2]}}},
                    {"id":"c3","type":"function","function":{"name":"f","arguments":"  "}},
                    {"id":"c4","type":"function","function":{"name":"f"}}]},
                  {"role":"tool","tool_call_id":"other","content":[{"type":"text","text":"42"}],"name":"f"},
                  {"role":"assistant","content":[{"type":"output_text","text":"no"},{"type":"refusal","refusal":"!"}]},
                  {"role":"assistant"},
                  {"role":"user","content":"<think>x</think>y"}]}""", model);

        List<Message> messages = chat.rendered.messages();
        assertThat(messages).extracting(Message::role).containsExactly(Message.Role.SYSTEM, Message.Role.USER,
                Message.Role.ASSISTANT, Message.Role.ASSISTANT, Message.Role.ASSISTANT, Message.Role.TOOL,
                Message.Role.ASSISTANT, Message.Role.ASSISTANT, Message.Role.USER);
        assertThat(messages).extracting(Message::content).containsExactly("be brief", "", "yes", "a", null, "42", "no!", null,
                "<think>x</think>y");
        assertThat(messages).extracting(Message::reasoning).containsExactly(null, null, "hm", "one", null, null, null, null,
                null);
        assertThat(messages.get(4).toolCalls()).extracting(call -> call.arguments().toString())
                .containsExactly("{\"x\":1}", "{\"y\":[2]}", "{}", "{}");
        assertThat(messages.get(4).toolCalls()).extracting(call -> call.id()).containsExactly("c1", "", "c3", "c4");
        assertThat(messages.get(5).toolCallId()).isEqualTo("other");
    }

    @Test
    void continuesAFinalMessageWithoutOpeningATurn() {
        plan(Endpoint.CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}],"
                + "\"continue_final_message\":true}", model);

        assertThat(chat.rendered.continueFinalMessage()).isTrue();
        assertThat(chat.rendered.addGenerationPrompt()).isFalse();
    }

    @Test
    void saysWhatTheTemplateRefuses() {
        ApiException refused = refusal(() -> plan(Endpoint.CHAT,
                "{\"messages\":[{\"role\":\"user\",\"content\":\"refuse me\"}]}", model));

        assertThat(refused.error().status()).isEqualTo(400);
        assertThat(refused.error().message()).contains("no such turn here\\u000A").doesNotContain("\n");
    }

    @Test
    void numbersPromptsAndChoices() {
        GenerationPlan plan = plan(Endpoint.COMPLETIONS, "{\"prompt\":[\"ab\",\"c\"],\"n\":3,\"seed\":5}", model);

        assertThat(plan.requests()).extracting(GenerationRequest::id).containsExactly("req-0", "req-1");
        assertThat(plan.requests()).extracting(request -> request.prompt().length).containsExactly(2, 1);
        assertThat(plan.requests()).allSatisfy(request -> {
            assertThat(request.choices()).isEqualTo(3);
            assertThat(request.maxTokens()).isEqualTo(16);
            assertThat(request.sampling().seed()).isEqualTo(5);
        });
        assertThat(plan.answer().totalChoices()).isEqualTo(6);
    }

    @ParameterizedTest
    @CsvSource({"255,1,true", "255,2,false", "256,0,true", "200,56,true", "200,57,false"})
    void promptAndAnswerShareTheLength(int promptTokens, int maxTokens, boolean fits) {
        String ids = String.join(",", Collections.nCopies(promptTokens, "7"));
        String body = "{\"prompt\":[" + ids + "],\"max_tokens\":" + maxTokens + "}";

        if (fits) {
            assertThat(plan(Endpoint.COMPLETIONS, body, model).requests().getFirst().maxTokens()).isEqualTo(maxTokens);
        } else {
            ApiException refused = refusal(() -> plan(Endpoint.COMPLETIONS, body, model));
            assertThat(refused.error().code()).isEqualTo("context_length_exceeded");
            assertThat(refused.error().param()).isEqualTo("prompt");
            assertThat(refused.error().message()).contains(" " + promptTokens + " ", " " + maxTokens + " ", " 256 ");
        }
    }

    @Test
    void aConversationNeedsRoomForOneToken() {
        String body = "{\"messages\":[{\"role\":\"user\",\"content\":\"" + "x".repeat(300) + "\"}]}";

        ApiException refused = refusal(() -> plan(Endpoint.CHAT, body, model));

        assertThat(refused.error().code()).isEqualTo("context_length_exceeded");
        assertThat(refused.error().param()).isEqualTo("messages");
    }

    @Test
    void truncatesPromptsFromTheLeft() {
        GenerationPlan three = plan(Endpoint.COMPLETIONS, "{\"prompt\":\"abcdef\",\"truncate_prompt_tokens\":3,\"echo\":true}",
                model);
        assertThat(three.requests().getFirst().prompt()).containsExactly(FakeText.byteToken('d'), FakeText.byteToken('e'),
                FakeText.byteToken('f'));
        assertThat(three.answer().prompts().getFirst().text()).isEqualTo("def");

        GenerationPlan fitting = plan(Endpoint.COMPLETIONS,
                "{\"prompt\":\"" + "x".repeat(300) + "\",\"truncate_prompt_tokens\":-1}", model);
        assertThat(fitting.requests().getFirst().prompt()).hasSize(240);
    }

    @Test
    void scoresPromptsOnlyUpToTheLimit() {
        var options = new ApiOptions(new ApiLimits(Map.of(Limit.PROMPT_LOGPROBS_TOKENS, 5)), false, ReasoningFields.BOTH, ThinkingDefaults.standard());
        CompletionRequest six = FakeModel.reader(options).completion("{\"prompt\":\"abcdef\",\"prompt_logprobs\":1}"
                .getBytes(StandardCharsets.UTF_8));

        ApiException refused = refusal(() -> FakeModel.planner(model, options).plan(six, "req", Tenant.ANONYMOUS));

        assertThat(refused.error().param()).isEqualTo("prompt_logprobs");
    }

    @Test
    void knowsItsNamesAndNoOthers() {
        assertThat(chat(",\"model\":\"alias/one\"").answer().identity().model()).isEqualTo("alias/one");
        assertThat(chat("").answer().identity().model()).isEqualTo("fake");
        ApiException refused = refusal(() -> chat(",\"model\":\"gpt-5\\n\""));
        assertThat(refused.error().status()).isEqualTo(404);
        assertThat(refused.error().code()).isEqualTo("model_not_found");
        assertThat(refused.error().message()).contains("gpt-5").doesNotContain("\n", "fake", "alias");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '~', quoteCharacter = '`', value = {
        "CHAT ~ {\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]} ~ messages",
        "COMPLETIONS ~ {\"prompt\":\"text\"} ~ prompt",
        "COMPLETIONS ~ {\"prompt\":[1],\"stop\":\"x\"} ~ stop",
        "COMPLETIONS ~ {\"prompt\":[1],\"bad_words\":[\"x\"]} ~ bad_words",
        "GENERATE ~ {\"prompt\":\"text\"} ~ prompt",
    })
    void aModelWithoutTokenizerSaysSo(Endpoint endpoint, String body, String param) {
        ApiException refused = refusal(() -> plan(endpoint, body, FakeModel.tokensOnly()));

        assertThat(refused.error().status()).isEqualTo(400);
        assertThat(refused.error().code()).isEqualTo("unsupported_value");
        assertThat(refused.error().param()).isEqualTo(param);
        assertThat(refused.error().message()).contains("tokenizer").containsAnyOf("token ids", "stop_token_ids", "logit_bias");
    }

    @Test
    void aModelWithoutTokenizerTakesTokenIds() {
        assertThat(plan(Endpoint.COMPLETIONS, "{\"prompt\":[[1,2],[3]]}", FakeModel.tokensOnly()).requests()).hasSize(2);
        assertThat(plan(Endpoint.GENERATE, "{\"token_ids\":[1,2]}", FakeModel.tokensOnly()).requests().getFirst().prompt())
                .containsExactly(1, 2);
    }

    @Test
    void tokenizesAndDetokenizes() {
        RequestReader reader = FakeModel.reader(ApiOptions.standard());
        RequestPlanner planner = FakeModel.planner(model, ApiOptions.standard());

        assertThat(new String(planner.tokenize(reader.tokenize("{\"prompt\":\"ab</s>\",\"return_token_strs\":true}".getBytes())),
                StandardCharsets.UTF_8)).isEqualTo("{\"count\":3,\"max_model_len\":256,\"tokens\":[113,114,2],"
                + "\"token_strs\":[\"<113>\",\"<114>\",\"</s>\"]}");
        assertThat(new String(planner.tokenize(reader.tokenize("{\"prompt\":\"\"}".getBytes())), StandardCharsets.UTF_8))
                .isEqualTo("{\"count\":0,\"max_model_len\":256,\"tokens\":[],\"token_strs\":null}");
        assertThat(new String(planner.tokenize(reader.tokenize(("{" + USER + "}").getBytes())), StandardCharsets.UTF_8))
                .contains("\"count\":23");
        assertThat(new String(planner.detokenize(reader.detokenize("{\"tokens\":[113,114,2]}".getBytes())),
                StandardCharsets.UTF_8)).isEqualTo("{\"prompt\":\"ab</s>\"}");
    }

    @Test
    void rendersTheSamePromptThatIsAnsweredAndSaysWhoWroteIt() throws IOException {
        // given a message with a control token typed into it and characters outside the basic plane
        String body = "{\"messages\":[{\"role\":\"user\",\"content\":\"\uD83D\uDE00 <|im_end|>\"}],\"enable_thinking\":false}";

        JsonNode rendered = rendered(reader -> reader.chat(body.getBytes(StandardCharsets.UTF_8)), RequestPlanner::render);

        String prompt = "<|im_start|>user\n\uD83D\uDE00 <|im_end|><|im_end|>\n<|im_start|>assistant\n<think></think>";
        assertThat(rendered.path("prompt").asText()).isEqualTo(prompt);
        // the message is characters 17 to 29, with the emoji as one; template runs that touch are one
        assertThat(rendered.path("special_runs").toString()).isEqualTo("[[0,17],[29," + prompt.codePointCount(0, prompt.length()) + "]]");
        assertThat(rendered.path("token_ids").toString().replaceAll("[\\[\\]]", "")).isEqualTo(
                Arrays.stream(plan(Endpoint.CHAT, body, model).requests().getFirst().prompt()).mapToObj(Integer::toString)
                        .collect(Collectors.joining(",")));
        assertThat(rendered.path("count").asInt()).isEqualTo(rendered.path("token_ids").size());
    }

    @Test
    void rendersOneTextAsAnObjectAndSeveralAsAList() throws IOException {
        assertThat(completion("{\"prompt\":\"ab</s>\"}").toString()).isEqualTo(
                "{\"prompt\":\"ab</s>\",\"token_ids\":[113,114,2],\"count\":3,\"special_runs\":[[0,6]]}");
        assertThat(completion("{\"prompt\":[\"a\",\"b\"]}").toString()).isEqualTo(
                "[{\"prompt\":\"a\",\"token_ids\":[113],\"count\":1,\"special_runs\":[[0,1]]},"
                        + "{\"prompt\":\"b\",\"token_ids\":[114],\"count\":1,\"special_runs\":[[0,1]]}]");
        assertThat(completion("{\"prompt\":[113,2]}").toString()).isEqualTo(
                "{\"prompt\":\"a</s>\",\"token_ids\":[113,2],\"count\":2,\"special_runs\":[]}");
        assertThat(completion("{\"prompt\":\"abc\",\"truncate_prompt_tokens\":2}").toString()).isEqualTo(
                "{\"prompt\":\"bc\",\"token_ids\":[114,115],\"count\":2,\"special_runs\":[]}");
    }

    @Test
    void rendersIdsOfAModelWithoutTokenizerWithoutText() throws IOException {
        RequestPlanner planner = FakeModel.planner(FakeModel.tokensOnly(), ApiOptions.standard());
        CompletionRequest request = FakeModel.reader(ApiOptions.standard()).completion("{\"prompt\":[1,2]}".getBytes());

        assertThat(new String(planner.render(request), StandardCharsets.UTF_8))
                .isEqualTo("{\"prompt\":null,\"token_ids\":[1,2],\"count\":2,\"special_runs\":[]}");
    }

    @Test
    void rendersNothingThatWouldNotBeAnswered() {
        RequestReader reader = FakeModel.reader(ApiOptions.standard());
        RequestPlanner planner = FakeModel.planner(model, ApiOptions.standard());

        assertThat(refusal(() -> planner.render(reader.chat(("{" + USER + ",\"model\":\"nobody\"}").getBytes()))).error().code())
                .isEqualTo("model_not_found");
        assertThat(refusal(() -> planner.render(reader.chat(("{" + USER + ",\"max_tokens\":250}").getBytes()))).error().code())
                .isEqualTo("context_length_exceeded");
        assertThat(refusal(() -> planner.render(reader.chat(
                "{\"messages\":[{\"role\":\"user\",\"content\":\"refuse me\"}]}".getBytes()))).error().status()).isEqualTo(400);
    }

    private JsonNode completion(String body) throws IOException {
        return rendered(reader -> reader.completion(body.getBytes(StandardCharsets.UTF_8)), RequestPlanner::render);
    }

    private <T> JsonNode rendered(Function<RequestReader, T> read, BiFunction<RequestPlanner, T, byte[]> render)
            throws IOException {
        T call = read.apply(FakeModel.reader(ApiOptions.standard()));
        return new ObjectMapper().readTree(render.apply(FakeModel.planner(model, ApiOptions.standard()), call));
    }

    private GenerationPlan chat(String fields) {
        return plan(Endpoint.CHAT, "{" + USER + fields + "}", model);
    }

    private static GenerationPlan plan(Endpoint endpoint, String body, ServedModel model) {
        RequestReader reader = FakeModel.reader(ApiOptions.standard());
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        GenerationCall call = switch (endpoint) {
            case CHAT -> reader.chat(bytes);
            case COMPLETIONS -> reader.completion(bytes);
            case GENERATE -> reader.generate(bytes);
            case TOKENIZE, DETOKENIZE, CACHE_RESET, SESSION, SESSION_FORK -> throw new IllegalArgumentException("nothing is generated there");
        };
        GenerationPlan plan = FakeModel.planner(model, ApiOptions.standard()).plan(call, "req", Tenant.ANONYMOUS);
        assertThat(plan.answer().totalChoices()).isEqualTo(call.sequences());
        return plan;
    }

    private static ApiException refusal(ThrowingCallable action) {
        ApiException refused = catchThrowableOfType(ApiException.class, action);
        assertThat(refused).as("refusal").isNotNull();
        return refused;
    }
}
