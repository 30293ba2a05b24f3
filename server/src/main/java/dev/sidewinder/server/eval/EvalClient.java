package dev.sidewinder.server.eval;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.server.auth.ClientKey;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/// Asks an OpenAI-compatible server, greedily and without streaming. Any number of threads.
final class EvalClient implements AutoCloseable {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Duration CONNECT_LIMIT = Duration.ofSeconds(10);
    private static final int UNAUTHORIZED = 401;
    private static final String TOO_LONG = "context_length_exceeded";

    private final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(CONNECT_LIMIT).build();
    private final URI server;
    private final ClientKey key;
    private final ServerInfo info;

    /// Looks who is there.
    ///
    /// @throws EvalException when no server answers, or something else than such a server
    EvalClient(URI address, ClientKey key) throws InterruptedException {
        this.key = key;
        server = URI.create(address.toString().endsWith("/") ? address.toString() : address + "/");
        try {
            info = describe();
        } catch (RuntimeException | InterruptedException e) {
            http.shutdownNow();
            throw e;
        }
    }

    private ServerInfo describe() throws InterruptedException {
        JsonNode model = get("v1/models").path("data").path(0);
        if (!model.path("id").isTextual()) {
            throw new EvalException(server + "v1/models does not list a model: this is no OpenAI-compatible server");
        }
        JsonNode version = get("version");
        return new ServerInfo(model.get("id").textValue(), model.path("sidewinder").path("number_format").asText(),
                model.path("sidewinder").path("weight_version").asText(), model.path("max_model_len").asInt(),
                version.path("version").asText(), version.path("commit").asText());
    }

    ServerInfo info() {
        return info;
    }

    /// An object without fields where the path is not served, or not as JSON.
    private JsonNode get(String path) throws InterruptedException {
        try {
            HttpRequest request = key.addTo(HttpRequest.newBuilder(server.resolve(path))).timeout(CONNECT_LIMIT).build();
            HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
            if (response.statusCode() == UNAUTHORIZED) {
                throw new EvalException(server + " lets nobody in without a key" + key.advice());
            }
            return response.statusCode() == 200 ? JSON.readTree(response.body()) : JSON.createObjectNode();
        } catch (JsonProcessingException notJson) {
            return JSON.createObjectNode();
        } catch (IOException e) {
            throw new EvalException("no server answers at " + server + ": " + e);
        }
    }

    /// Asks one case. As long as the server works on it there is no limit of time here: the server has its own.
    ///
    /// @throws EvalException when the request fails for any reason but its length
    Outcome ask(TestCase test) throws InterruptedException {
        HttpRequest request = key.addTo(HttpRequest.newBuilder(server.resolve("v1/chat/completions")))
                .header("content-type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body(test))).build();
        HttpResponse<String> response;
        try {
            response = http.send(request, BodyHandlers.ofString());
        } catch (IOException e) {
            throw failure(test, "the server does not answer: " + e);
        }
        JsonNode answer;
        try {
            answer = JSON.readTree(response.body());
        } catch (JsonProcessingException e) {
            throw failure(test, "the server answers with status " + response.statusCode() + " and no JSON");
        }
        if (response.statusCode() == 200) {
            return new Outcome.Answered(read(test, answer));
        }
        JsonNode error = answer.path("error");
        if (response.statusCode() == 400 && error.path("code").asText().equals(TOO_LONG)) {
            return new Outcome.TooLong(error.path("message").asText());
        }
        throw failure(test, "the server answers " + response.statusCode() + ": " + error.path("message").asText());
    }

    private String body(TestCase test) {
        ObjectNode body = JSON.createObjectNode().put("model", info.model());
        body.set("messages", test.messages());
        test.tools().ifPresent(tools -> body.set("tools", tools));
        test.thinking().ifPresent(on -> body.putObject("chat_template_kwargs").put("enable_thinking", on));
        return body.put("temperature", 0).put("max_completion_tokens", test.maxTokens()).toString();
    }

    private static Answer read(TestCase test, JsonNode answer) {
        JsonNode choice = answer.path("choices").path(0);
        JsonNode message = choice.path("message");
        JsonNode usage = answer.path("usage");
        if (!message.isObject() || !choice.path("finish_reason").isTextual() || !usage.path("completion_tokens").isInt()) {
            throw failure(test, "the server answers something else than a chat completion");
        }
        List<Answer.Call> calls = new ArrayList<>();
        for (JsonNode call : message.path("tool_calls")) {
            JsonNode function = call.path("function");
            calls.add(new Answer.Call(function.path("name").asText(), function.path("arguments").asText()));
        }
        // null is what an answer of tool calls alone has for its content
        return new Answer(message.path("content").asText(""),
                message.path("reasoning").asText(message.path("reasoning_content").asText("")), calls,
                choice.get("finish_reason").textValue(), usage.path("prompt_tokens").asInt(),
                usage.get("completion_tokens").intValue());
    }

    private static EvalException failure(TestCase test, String problem) {
        return new EvalException("case " + test.id() + ": " + problem);
    }

    @Override
    public void close() {
        http.shutdownNow();
    }
}
