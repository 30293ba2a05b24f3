package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.errors.NotFoundException;
import com.openai.errors.OpenAIServiceException;
import com.openai.errors.UnauthorizedException;
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.models.FunctionDefinition;
import com.openai.models.FunctionParameters;
import com.openai.models.ReasoningEffort;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionFunctionTool;
import com.openai.models.chat.completions.ChatCompletionMessage;
import com.openai.models.chat.completions.ChatCompletionMessageFunctionToolCall;
import com.openai.models.chat.completions.ChatCompletionNamedToolChoice;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.ChatCompletionToolChoiceOption;
import com.openai.models.chat.completions.ChatCompletionToolMessageParam;
import com.openai.models.completions.Completion;
import com.openai.models.completions.CompletionCreateParams;
import com.openai.models.embeddings.EmbeddingCreateParams;
import dev.sidewinder.it.support.KeyFile;
import dev.sidewinder.it.support.Script;
import dev.sidewinder.it.support.ServerProcess;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Conversations of the official Java client (`com.openai:openai-java`).
class OpenAiJavaIT {

    @TempDir
    static Path folder;

    private static ServerProcess server;
    private static OpenAIClient client;
    private static String model;

    @BeforeAll
    static void start() throws IOException {
        Path keys = new KeyFile(folder).with("team", "inference,metrics").write();
        server = ServerProcess.start("--model", Script.write(folder).toString(), "--served-model-name", "scripted",
                "--api-key-file", keys.toString());
        client = client(KeyFile.keyOf("team"));
        model = client.models().list().data().getFirst().id();
    }

    @AfterAll
    static void stop() {
        client.close();
        server.close();
    }

    private static OpenAIClient client(String key) {
        return OpenAIOkHttpClient.builder()
                .baseUrl(server.uri() + "/v1")
                .apiKey(key)
                .maxRetries(0)
                .timeout(Duration.ofSeconds(60))
                .build();
    }

    @Test
    void learnsThatAKeyIsWrong() {
        OpenAIClient stranger = client("wrong");
        try {
            assertThatThrownBy(() -> stranger.chat().completions().create(chat("Hello").build()))
                    .isInstanceOfSatisfying(UnauthorizedException.class, refused -> {
                        assertThat(refused.code()).contains("invalid_api_key");
                        assertThat(refused.type()).contains("authentication_error");
                    });
        } finally {
            stranger.close();
        }
    }

    private static ChatCompletionCreateParams.Builder chat(String question) {
        return ChatCompletionCreateParams.builder().model(model).temperature(0).maxCompletionTokens(200)
                .addUserMessage(question);
    }

    private static ChatCompletionFunctionTool weatherTool() {
        FunctionParameters parameters = FunctionParameters.builder()
                .putAdditionalProperty("type", JsonValue.from("object"))
                .putAdditionalProperty("properties", JsonValue.from(
                        Map.of("city", Map.of("type", "string"), "days", Map.of("type", "integer"))))
                .build();
        return ChatCompletionFunctionTool.builder()
                .function(FunctionDefinition.builder().name(Script.TOOL_NAME).parameters(parameters).build())
                .build();
    }

    private static String reasoning(ChatCompletionMessage message) {
        return message._additionalProperties().get("reasoning").asStringOrThrow();
    }

    @Test
    void readsAPlainAnswer() {
        assertThat(model).isEqualTo("scripted");

        ChatCompletion answer = client.chat().completions().create(chat("Hello").build());

        ChatCompletion.Choice choice = answer.choices().getFirst();
        assertThat(choice.message().content()).contains(Script.ANSWER);
        assertThat(reasoning(choice.message()).strip()).isEqualTo(Script.REASONING);
        assertThat(choice.finishReason()).isEqualTo(ChatCompletion.Choice.FinishReason.STOP);
        assertThat(answer.usage().orElseThrow().completionTokens()).isPositive();
    }

    @Test
    void accumulatesAStreamToThePlainAnswer() {
        var accumulator = ChatCompletionAccumulator.create();
        var options = ChatCompletionStreamOptions.builder().includeUsage(true).build();

        try (StreamResponse<ChatCompletionChunk> stream =
                client.chat().completions().createStreaming(chat("Hello").streamOptions(options).build())) {
            stream.stream().forEach(accumulator::accumulate);
        }

        ChatCompletion streamed = accumulator.chatCompletion();
        assertThat(streamed.choices().getFirst().message().content()).contains(Script.ANSWER);
        assertThat(streamed.usage().orElseThrow().totalTokens())
                .isEqualTo(client.chat().completions().create(chat("Hello").build()).usage().orElseThrow().totalTokens());
    }

    @Test
    void callsAToolAndGoesOnWithItsResult() {
        // given a question that makes the model call the tool
        var request = chat(Script.TOOL_QUESTION).addTool(weatherTool()).reasoningEffort(ReasoningEffort.NONE);
        ChatCompletion.Choice first = client.chat().completions().create(request.build()).choices().getFirst();
        ChatCompletionMessageFunctionToolCall call = first.message().toolCalls().orElseThrow().getFirst().asFunction();
        assertThat(first.finishReason()).isEqualTo(ChatCompletion.Choice.FinishReason.TOOL_CALLS);
        assertThat(call.id()).matches("call_[0-9A-Za-z]{24}");
        assertThat(call.function().name()).isEqualTo(Script.TOOL_NAME);
        assertThat(call.function().arguments()).isEqualToIgnoringWhitespace(Script.TOOL_ARGUMENTS);

        // when its result comes back
        request.addMessage(first.message())
                .addMessage(ChatCompletionToolMessageParam.builder().toolCallId(call.id()).content("sunny").build());
        ChatCompletion second = client.chat().completions().create(request.build());

        // then the model answers
        assertThat(second.choices().getFirst().message().content()).contains(Script.AFTER_TOOL);
    }

    @Test
    void forcesACallByRequiredAndByName() {
        var request = chat(Script.TOOL_QUESTION).addTool(weatherTool()).reasoningEffort(ReasoningEffort.NONE);
        var named = ChatCompletionNamedToolChoice.builder()
                .function(ChatCompletionNamedToolChoice.Function.builder().name(Script.TOOL_NAME).build()).build();

        ChatCompletion.Choice required = client.chat().completions()
                .create(request.toolChoice(ChatCompletionToolChoiceOption.Auto.REQUIRED).build()).choices().getFirst();
        ChatCompletion.Choice byName = client.chat().completions().create(request.toolChoice(named).build()).choices().getFirst();

        assertThat(required.finishReason()).isEqualTo(ChatCompletion.Choice.FinishReason.TOOL_CALLS);
        assertThat(byName.finishReason()).isEqualTo(ChatCompletion.Choice.FinishReason.STOP);
        for (ChatCompletion.Choice choice : List.of(required, byName)) {
            var call = choice.message().toolCalls().orElseThrow().getFirst().asFunction();
            assertThat(call.function().name()).isEqualTo(Script.TOOL_NAME);
            assertThat(call.function().arguments()).isEqualToIgnoringWhitespace(Script.TOOL_ARGUMENTS);
        }

        // streamed
        var accumulator = ChatCompletionAccumulator.create();
        try (StreamResponse<ChatCompletionChunk> stream = client.chat().completions().createStreaming(request.toolChoice(named).build())) {
            stream.stream().forEach(accumulator::accumulate);
        }
        ChatCompletion.Choice streamed = accumulator.chatCompletion().choices().getFirst();
        assertThat(streamed.finishReason()).isEqualTo(ChatCompletion.Choice.FinishReason.STOP);
        assertThat(streamed.message().toolCalls().orElseThrow().getFirst().asFunction().function().arguments())
                .isEqualToIgnoringWhitespace(Script.TOOL_ARGUMENTS);
    }

    @Test
    void aCallGoesToAToolOfTheRequestWhateverTheModelHadInMind() {
        // given a model that would call get_weather, and another tool
        var other = ChatCompletionFunctionTool.builder().function(FunctionDefinition.builder().name("get_time").build()).build();
        var request = chat(Script.TOOL_QUESTION).maxCompletionTokens(60).addTool(other).reasoningEffort(ReasoningEffort.NONE).build();

        ChatCompletion.Choice choice = client.chat().completions().create(request).choices().getFirst();

        assertThat(choice.message().toolCalls().orElseThrow().getFirst().asFunction().function().name()).isEqualTo("get_time");
    }

    @Test
    void accumulatesAStreamedToolCall() {
        var accumulator = ChatCompletionAccumulator.create();
        var request = chat(Script.TOOL_QUESTION).addTool(weatherTool()).reasoningEffort(ReasoningEffort.NONE).build();

        try (StreamResponse<ChatCompletionChunk> stream = client.chat().completions().createStreaming(request)) {
            stream.stream().forEach(accumulator::accumulate);
        }

        ChatCompletion.Choice choice = accumulator.chatCompletion().choices().getFirst();
        var call = choice.message().toolCalls().orElseThrow().getFirst().asFunction();
        assertThat(choice.finishReason()).isEqualTo(ChatCompletion.Choice.FinishReason.TOOL_CALLS);
        assertThat(call.function().name()).isEqualTo(Script.TOOL_NAME);
        assertThat(call.function().arguments()).isEqualToIgnoringWhitespace(Script.TOOL_ARGUMENTS);
    }

    @Test
    void answersTheAsynchronousClient() {
        ChatCompletion answer = client.async().chat().completions().create(chat("Hello").n(2).build()).join();

        assertThat(answer.choices()).hasSize(2)
                .allMatch(choice -> choice.message().content().orElseThrow().equals(Script.ANSWER));
    }

    @Test
    void completesTextPlainAndStreamed() {
        var request = CompletionCreateParams.builder().model(model).prompt(Script.COMPLETION_PROMPT).maxTokens(64)
                .temperature(0).build();
        var streamed = new StringBuilder();

        String plain = client.completions().create(request).choices().getFirst().text();
        try (StreamResponse<Completion> stream = client.completions().createStreaming(request)) {
            stream.stream().forEach(chunk -> streamed.append(chunk.choices().getFirst().text()));
        }

        assertThat(plain).isEqualTo(Script.COMPLETION);
        assertThat(streamed.toString()).isEqualTo(plain);
    }

    @Test
    void seesMistakesAsTypedErrors() {
        assertThatThrownBy(() -> client.chat().completions().create(chat("Hello").temperature(3).build()))
                .isInstanceOfSatisfying(BadRequestException.class, error -> {
                    assertThat(error.param()).contains("temperature");
                    assertThat(error.code()).contains("decimal_above_max_value");
                });
        assertThatThrownBy(() -> client.models().retrieve("somebody-else"))
                .isInstanceOfSatisfying(NotFoundException.class, error -> assertThat(error.code()).contains("model_not_found"));
        assertThatThrownBy(() -> client.embeddings().create(
                EmbeddingCreateParams.builder().model(model).input("Hello").build()))
                .isInstanceOfSatisfying(OpenAIServiceException.class,
                        error -> assertThat(error.code()).contains("unsupported_endpoint"));
    }

    @Test
    void leavesAnEndlessStream() throws Exception {
        try (StreamResponse<ChatCompletionChunk> stream = client.chat().completions()
                .createStreaming(chat(Script.ENDLESS_QUESTION).maxCompletionTokens(4000)
                        .reasoningEffort(ReasoningEffort.NONE).build())) {
            assertThat(stream.stream().limit(5)).hasSize(5);
        }

        server.api().withKey(KeyFile.keyOf("team")).awaitRest();
    }
}
