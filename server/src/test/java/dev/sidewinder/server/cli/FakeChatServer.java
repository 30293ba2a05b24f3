package dev.sidewinder.server.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;

/// Answers chat requests with what a test prepared, and remembers what was asked.
final class FakeChatServer implements AutoCloseable {

    /// @param status HTTP status
    /// @param body   what to send: a stream for 200, an error for the rest
    /// @param hang   whether to send no end, so that only the client can stop it
    private record Reply(int status, String body, boolean hang) {}

    final List<JsonNode> requests = new CopyOnWriteArrayList<>();
    /// Counted down when a hanging answer has been sent as far as it goes.
    final CountDownLatch hanging = new CountDownLatch(1);
    /// Counted down when the client of a hanging answer has gone.
    final CountDownLatch left = new CountDownLatch(1);

    private final BlockingQueue<Reply> replies = new LinkedBlockingQueue<>();
    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private final HttpServer server;

    FakeChatServer() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(threads);
        server.createContext("/v1/models", exchange -> reply(exchange,
                new Reply(200, "{\"object\":\"list\",\"data\":[{\"id\":\"fake-model\",\"object\":\"model\"}]}", false)));
        server.createContext("/v1/chat/completions", exchange -> {
            requests.add(new ObjectMapper().readTree(exchange.getRequestBody()));
            reply(exchange, replies.remove());
        });
        server.start();
    }

    URI address() {
        return URI.create("http://127.0.0.1:" + server.getAddress().getPort());
    }

    /// The next answer is a stream of these deltas, with role chunk, usage chunk and end as the real server sends them.
    void answer(String finishReason, String... deltas) {
        replies.add(new Reply(200, chunk("{\"role\":\"assistant\",\"content\":\"\"}", "null") + chunks(deltas)
                + chunk("{}", "\"" + finishReason + "\"") + "data: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n",
                false));
    }

    /// The next answer sends these deltas and then nothing.
    void answerAndHang(String... deltas) {
        replies.add(new Reply(200, chunks(deltas), true));
    }

    /// The next answer is exactly this.
    void answerRaw(int status, String body) {
        replies.add(new Reply(status, body, false));
    }

    static String content(String text) {
        return new ObjectMapper().createObjectNode().put("content", text).toString();
    }

    static String reasoning(String text) {
        return new ObjectMapper().createObjectNode().put("reasoning", text).put("reasoning_content", text).toString();
    }

    static String chunks(String... deltas) {
        var chunks = new StringBuilder(": comment\n\n");
        for (String delta : deltas) {
            chunks.append(chunk(delta, "null"));
        }
        return chunks.toString();
    }

    private static String chunk(String delta, String finishReason) {
        return "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":" + delta
                + ",\"finish_reason\":" + finishReason + "}]}\n\n";
    }

    private void reply(HttpExchange exchange, Reply reply) throws IOException {
        try (exchange) {
            exchange.sendResponseHeaders(reply.status(), 0);
            exchange.getResponseBody().write(reply.body().getBytes(StandardCharsets.UTF_8));
            exchange.getResponseBody().flush();
            if (reply.hang()) {
                hanging.countDown();
                writeUntilNobodyListens(exchange);
            }
        }
    }

    private void writeUntilNobodyListens(HttpExchange exchange) {
        try {
            while (true) {
                exchange.getResponseBody().write(": still here\n\n".getBytes(StandardCharsets.UTF_8));
                exchange.getResponseBody().flush();
                Thread.sleep(10);
            }
        } catch (IOException | InterruptedException gone) {
            left.countDown();
        }
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }
}
