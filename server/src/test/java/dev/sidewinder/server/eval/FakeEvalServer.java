package dev.sidewinder.server.eval;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Function;

/// Answers chat requests by a function of the last message's content, and remembers what was asked.
final class FakeEvalServer implements AutoCloseable {

    /// @param status 0 closes the connection without an answer
    record Reply(int status, String body) {}

    final List<JsonNode> requests = new CopyOnWriteArrayList<>();

    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private final HttpServer server;

    FakeEvalServer(Function<String, Reply> answers) throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(threads);
        server.createContext("/v1/models", exchange -> send(exchange, new Reply(200, """
                {"object":"list","data":[{"id":"fake","max_model_len":4096,
                 "sidewinder":{"number_format":"bf16","weight_version":"0123abcd"}}]}""")));
        server.createContext("/version", exchange -> send(exchange,
                new Reply(200, "{\"version\":\"1.2.3\",\"commit\":\"abc\"}")));
        server.createContext("/v1/chat/completions", exchange -> {
            JsonNode request = new ObjectMapper().readTree(exchange.getRequestBody());
            requests.add(request);
            JsonNode messages = request.get("messages");
            send(exchange, answers.apply(messages.get(messages.size() - 1).path("content").asText()));
        });
        server.start();
    }

    /// An answer of plain content.
    static Reply content(String text) {
        ObjectNode answer = new ObjectMapper().createObjectNode();
        answer.putArray("choices").addObject().put("index", 0).put("finish_reason", "stop").putObject("message")
                .put("role", "assistant").put("content", text);
        answer.putObject("usage").put("prompt_tokens", 10).put("completion_tokens", text.length());
        return new Reply(200, answer.toString());
    }

    static Reply error(int status, String code, String message) {
        ObjectNode answer = new ObjectMapper().createObjectNode();
        answer.putObject("error").put("message", message).put("code", code);
        return new Reply(status, answer.toString());
    }

    URI address() {
        return URI.create("http://127.0.0.1:" + server.getAddress().getPort());
    }

    private static void send(HttpExchange exchange, Reply reply) throws IOException {
        try (exchange) {
            if (reply.status() == 0) {
                return;
            }
            byte[] body = reply.body().getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(reply.status(), body.length);
            exchange.getResponseBody().write(body);
        }
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }
}
