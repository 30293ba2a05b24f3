package dev.sidewinder.server.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.chat.Message;
import dev.sidewinder.server.auth.ClientKey;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/// Asks an OpenAI-compatible server. Knows its wire format and nothing about terminals.
final class ChatClient implements AutoCloseable {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int UNAUTHORIZED = 401;
    private static final Duration CONNECT_LIMIT = Duration.ofSeconds(10);

    /// What every request of a conversation carries.
    ///
    /// @param model       name to ask for; null leaves it to the server
    /// @param thinking    false switches the reasoning off; null leaves it to the server
    /// @param temperature null leaves it to the server
    /// @param maxTokens   null leaves it to the server
    record Options(String model, Boolean thinking, Double temperature, Integer maxTokens) {}

    private final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(CONNECT_LIMIT).build();
    private final URI server;
    private final ClientKey key;

    /// Of a server without keys.
    ChatClient(URI server) {
        this(server, ClientKey.NONE);
    }

    ChatClient(URI server, ClientKey key) {
        this.key = key;
        String text = server.toString();
        this.server = URI.create(text.endsWith("/") ? text : text + "/");
    }

    /// The name of the first model the server offers, or nothing when no server answers there.
    ///
    /// @throws CommandException when something answers that is not such a server
    Optional<String> firstModel() throws InterruptedException {
        HttpResponse<String> response;
        try {
            response = http.send(request("v1/models").timeout(CONNECT_LIMIT).build(), BodyHandlers.ofString());
        } catch (IOException nobodyThere) {
            return Optional.empty();
        }
        if (response.statusCode() != 200) {
            throw new CommandException(server + " answers " + problem(response.statusCode(), response.body()));
        }
        try {
            String id = JSON.readTree(response.body()).path("data").path(0).path("id").asText();
            if (!id.isEmpty()) {
                return Optional.of(id);
            }
        } catch (JsonProcessingException notJson) {
            // said below
        }
        throw new CommandException(server + "v1/models does not list a model: this is no OpenAI-compatible server");
    }

    /// Sends a conversation and returns the answer as it begins to arrive.
    ///
    /// @throws CommandException when the server refuses it, with the server's reason
    ChatAnswer ask(List<Message> conversation, Options options) throws IOException, InterruptedException {
        HttpRequest request = request("v1/chat/completions").header("content-type", "application/json")
                .header("accept", "text/event-stream")
                .POST(HttpRequest.BodyPublishers.ofString(body(conversation, options))).build();
        HttpResponse<InputStream> response = http.send(request, BodyHandlers.ofInputStream());
        if (response.statusCode() != 200) {
            try (InputStream body = response.body()) {
                throw new CommandException("the server answers "
                        + problem(response.statusCode(), new String(body.readAllBytes(), StandardCharsets.UTF_8)));
            }
        }
        return new ChatAnswer(response.body(), JSON);
    }

    private static String body(List<Message> conversation, Options options) {
        ObjectNode body = JSON.createObjectNode();
        if (options.model() != null) {
            body.put("model", options.model());
        }
        ArrayNode messages = body.putArray("messages");
        for (Message message : conversation) {
            messages.addObject().put("role", message.role().name().toLowerCase(Locale.ROOT))
                    .put("content", message.content());
        }
        body.put("stream", true);
        if (options.thinking() != null) {
            body.putObject("chat_template_kwargs").put("enable_thinking", options.thinking());
        }
        if (options.temperature() != null) {
            body.put("temperature", options.temperature());
        }
        if (options.maxTokens() != null) {
            body.put("max_completion_tokens", options.maxTokens());
        }
        return body.toString();
    }

    /// The server's own words for what went wrong, as far as it sent any.
    private String problem(int status, String body) {
        try {
            JsonNode message = JSON.readTree(body).path("error").path("message");
            if (message.isTextual()) {
                return status + ": " + message.asText() + (status == UNAUTHORIZED ? key.advice() : "");
            }
        } catch (JsonProcessingException notJson) {
            // the status alone has to do
        }
        return "with status " + status;
    }

    private HttpRequest.Builder request(String path) {
        return key.addTo(HttpRequest.newBuilder(server.resolve(path)));
    }

    @Override
    public void close() {
        http.shutdownNow();
    }
}
