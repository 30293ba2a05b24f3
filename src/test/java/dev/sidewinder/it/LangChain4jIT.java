package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.ModelNotFoundException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiChatRequestParameters;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.model.output.FinishReason;
import dev.sidewinder.it.support.Script;
import dev.sidewinder.it.support.ServerProcess;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Conversations of LangChain4j's OpenAI client, over its own HTTP client (the JDK's, which offers an upgrade to HTTP/2).
class LangChain4jIT {

    private static final ToolSpecification WEATHER = ToolSpecification.builder().name(Script.TOOL_NAME)
            .description("Looks up the weather")
            .parameters(JsonObjectSchema.builder().addStringProperty("city").addIntegerProperty("days").required("city").build())
            .build();

    @TempDir
    static Path folder;

    private static ServerProcess server;
    private static OpenAiChatModel plain;
    private static OpenAiStreamingChatModel streaming;

    @BeforeAll
    static void start() {
        server = ServerProcess.start("--model", Script.write(folder).toString(), "--served-model-name", "scripted");
        plain = model("scripted");
        streaming = OpenAiStreamingChatModel.builder().baseUrl(server.uri() + "/v1").apiKey("unused").modelName("scripted")
                .temperature(0.0).returnThinking(true).timeout(Duration.ofSeconds(60)).build();
    }

    private static OpenAiChatModel model(String name) {
        return OpenAiChatModel.builder().baseUrl(server.uri() + "/v1").apiKey("unused").modelName(name).temperature(0.0)
                .returnThinking(true).maxRetries(0).timeout(Duration.ofSeconds(60)).build();
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    private static ChatRequest request(List<ChatMessage> messages, String effort, ToolSpecification... tools) {
        return ChatRequest.builder().messages(messages)
                .parameters(OpenAiChatRequestParameters.builder().maxCompletionTokens(200).reasoningEffort(effort)
                        .toolSpecifications(tools).build())
                .build();
    }

    private static ChatRequest hello() {
        return request(List.of(UserMessage.from("Hello")), "high");
    }

    private record Streamed(ChatResponse response, String text) {}

    private static Streamed stream(ChatRequest request) throws Exception {
        var text = new StringBuilder();
        var complete = new CompletableFuture<ChatResponse>();
        streaming.chat(request, new StreamingChatResponseHandler() {
            @Override
            public void onPartialResponse(String part) {
                text.append(part);
            }

            @Override
            public void onCompleteResponse(ChatResponse response) {
                complete.complete(response);
            }

            @Override
            public void onError(Throwable error) {
                complete.completeExceptionally(error);
            }
        });
        return new Streamed(complete.get(60, TimeUnit.SECONDS), text.toString());
    }

    @Test
    void readsAPlainAnswer() {
        ChatResponse answer = plain.chat(hello());

        assertThat(answer.aiMessage().text()).isEqualTo(Script.ANSWER);
        assertThat(answer.aiMessage().thinking().strip()).isEqualTo(Script.REASONING);
        assertThat(answer.finishReason()).isEqualTo(FinishReason.STOP);
        assertThat(answer.tokenUsage().totalTokenCount())
                .isEqualTo(answer.tokenUsage().inputTokenCount() + answer.tokenUsage().outputTokenCount());
    }

    @Test
    void joinsAStreamToThePlainAnswer() throws Exception {
        Streamed streamed = stream(hello());

        assertThat(streamed.text()).isEqualTo(Script.ANSWER);
        assertThat(streamed.response().aiMessage().text()).isEqualTo(Script.ANSWER);
        assertThat(streamed.response().aiMessage().thinking().strip()).isEqualTo(Script.REASONING);
        assertThat(streamed.response().tokenUsage()).isEqualTo(plain.chat(hello()).tokenUsage());
    }

    @Test
    void callsAToolAndGoesOnWithItsResult() throws Exception {
        // given a question that makes the model call the tool, asked plain and streamed
        List<ChatMessage> messages = new ArrayList<>(List.of(UserMessage.from(Script.TOOL_QUESTION)));
        ChatResponse first = plain.chat(request(messages, "none", WEATHER));
        ToolExecutionRequest call = first.aiMessage().toolExecutionRequests().getFirst();
        ToolExecutionRequest streamedCall =
                stream(request(messages, "none", WEATHER)).response().aiMessage().toolExecutionRequests().getFirst();

        assertThat(first.finishReason()).isEqualTo(FinishReason.TOOL_EXECUTION);
        assertThat(call.name()).isEqualTo(Script.TOOL_NAME).isEqualTo(streamedCall.name());
        assertThat(call.arguments()).isEqualToIgnoringWhitespace(Script.TOOL_ARGUMENTS).isEqualTo(streamedCall.arguments());

        // when its result comes back
        messages.add(first.aiMessage());
        messages.add(ToolExecutionResultMessage.from(call, "sunny"));
        ChatResponse second = plain.chat(request(messages, "none", WEATHER));

        // then the model answers
        assertThat(second.aiMessage().text()).isEqualTo(Script.AFTER_TOOL);
    }

    @Test
    void forcesACallWhereTheModelMustCall() throws Exception {
        var request = ChatRequest.builder().messages(UserMessage.from(Script.TOOL_QUESTION))
                .parameters(OpenAiChatRequestParameters.builder().maxCompletionTokens(200).reasoningEffort("none")
                        .toolSpecifications(WEATHER).toolChoice(ToolChoice.REQUIRED).build())
                .build();

        for (ChatResponse answer : List.of(plain.chat(request), stream(request).response())) {
            ToolExecutionRequest call = answer.aiMessage().toolExecutionRequests().getFirst();
            assertThat(call.name()).isEqualTo(Script.TOOL_NAME);
            assertThat(call.arguments()).isEqualToIgnoringWhitespace(Script.TOOL_ARGUMENTS);
            assertThat(answer.finishReason()).isEqualTo(FinishReason.TOOL_EXECUTION);
        }
    }

    @Test
    void seesAMistakeAsAnError() {
        assertThatThrownBy(() -> model("somebody-else").chat(hello())).isInstanceOf(ModelNotFoundException.class);
    }
}
