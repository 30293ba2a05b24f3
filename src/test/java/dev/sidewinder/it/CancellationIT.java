package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.RawHttp;
import dev.sidewinder.it.support.ServerProcess;
import dev.sidewinder.it.support.Waiting;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpVersion;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Clients that go away, in every phase of a request: their work stops and its memory comes back within two steps.
class CancellationIT {

    private static final Duration SOON = Duration.ofSeconds(30);
    private static final int ENDLESS = 100_000;

    private static ServerProcess server;
    private static Api api;

    @BeforeAll
    static void start() {
        server = ServerProcess.start("--max-num-seqs", "8", "--max-model-len", "200000");
        api = server.api();
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @AfterEach
    void nothingIsLeft() throws Exception {
        awaitEveryEventLoop();
        api.awaitRest();
        Api.Metrics metrics = api.metrics();
        assertThat(metrics.sum("sidewinder_abort_to_free_steps_bucket", "le=\"2.0\"")).as("%s", metrics)
                .isEqualTo(metrics.sum("sidewinder_abort_to_free_steps_bucket", "le=\"+Inf\""));
        assertThat(server.isAlive()).isTrue();
    }

    @ParameterizedTest
    @CsvSource({"1, true", "8, true", "1, false", "8, false"})
    void stopsWhenTheConnectionClosesWhileItGenerates(int n, boolean stream) throws Exception {
        double before = aborts();
        try (Socket socket = server.raw().open()) {
            socket.getOutputStream().write(request(endless(n, stream, 5)));
            Waiting.until("all choices to run", SOON, () -> running() == n);
        }

        Waiting.until("all choices to stop", SOON, () -> running() == 0);
        Waiting.until("the abort to be counted", SOON, () -> aborts() == before + 1);
    }

    @Test
    void stopsWhenTheConnectionIsResetWhileItGenerates() throws Exception {
        Socket socket = server.raw().open();
        socket.setSoLinger(true, 0);
        socket.getOutputStream().write(request(endless(2, true, 5)));
        Waiting.until("it to run", SOON, () -> running() == 2);

        socket.close();

        Waiting.until("it to stop", SOON, () -> running() == 0);
    }

    @Test
    void stopsInTheMiddleOfALongPrompt() throws Exception {
        try (Socket socket = server.raw().open()) {
            socket.getOutputStream().write(request(endless(1, true, 150_000)));
            Waiting.until("it to run", SOON, () -> running() == 1);
        }

        Waiting.until("it to stop", SOON, () -> running() == 0);
    }

    @Test
    void forgetsARequestThatLeavesTheQueue() throws Exception {
        List<Socket> sockets = new ArrayList<>();
        try {
            // given a full batch
            for (int i = 0; i < 8; i++) {
                sockets.add(send(endless(1, true, 5)));
            }
            Waiting.until("the batch to be full", SOON, () -> running() == 8);

            // when one more waits and leaves
            Socket waiting = send(endless(1, true, 5));
            Waiting.until("it to wait", SOON, () -> api.metricSum("sidewinder_queue_requests", "") == 1);
            waiting.close();

            // then it is forgotten, and the others go on
            Waiting.until("it to be forgotten", SOON, () -> api.metricSum("sidewinder_queue_requests", "") == 0);
            assertThat(running()).isEqualTo(8);
        } finally {
            for (Socket socket : sockets) {
                socket.close();
            }
        }
    }

    @Test
    void forgetsARequestWhoseBodyBreaksOff() throws Exception {
        for (int i = 0; i < 20; i++) {
            try (Socket socket = server.raw().open()) {
                byte[] request = request(endless(1, true, 5));
                socket.getOutputStream().write(request, 0, request.length / 2 + i);
            }
        }
    }

    @Test
    void stopsAfterTheFirstTokens() throws Exception {
        try (EventReader stream = api.stream("/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
                + "\"stream\":true,\"ignore_eos\":true,\"max_tokens\":" + ENDLESS + "}")) {
            for (int i = 0; i < 5; i++) {
                assertThat(stream.next()).isNotNull();
            }
        }

        Waiting.until("it to stop", SOON, () -> running() == 0);
    }

    @Test
    void stopsWhenAnHttp2StreamIsReset() throws Exception {
        Vertx vertx = Vertx.vertx();
        try {
            var client = vertx.createHttpClient(new HttpClientOptions().setProtocolVersion(HttpVersion.HTTP_2)
                    .setHttp2ClearTextUpgrade(false));
            HttpClientRequest request = client.request(HttpMethod.POST, server.port(), "127.0.0.1", "/v1/completions")
                    .toCompletionStage().toCompletableFuture().get(60, TimeUnit.SECONDS);
            request.putHeader("content-type", "application/json");
            request.send(Buffer.buffer(endless(3, true, 5)));
            Waiting.until("it to run", SOON, () -> running() == 3);

            request.reset();

            Waiting.until("it to stop", SOON, () -> running() == 0);
            // and the connection still works
            var again = client.request(HttpMethod.GET, server.port(), "127.0.0.1", "/health")
                    .compose(HttpClientRequest::send).toCompletionStage().toCompletableFuture().get(60, TimeUnit.SECONDS);
            assertThat(again.statusCode()).isEqualTo(200);
        } finally {
            vertx.close().toCompletionStage().toCompletableFuture().get(60, TimeUnit.SECONDS);
        }
    }

    @Test
    void survivesAStormOfClientsThatGoAwayAtAnyTime() throws Exception {
        long seed = 42;
        var random = new java.util.Random(seed);
        for (int round = 0; round < 60; round++) {
            Socket socket = send(endless(1 + random.nextInt(4), random.nextBoolean(), 1 + random.nextInt(400)));
            Thread.sleep(random.nextInt(40));
            if (random.nextBoolean()) {
                socket.setSoLinger(true, 0);
            }
            socket.close();
        }
        awaitEveryEventLoop();
        api.awaitRest();
        assertThat(api.post("/v1/completions", "{\"prompt\":\"still here\",\"max_tokens\":2}").status()).isEqualTo(200);
    }

    /// Waits until the server has seen the requests of clients that have gone already. Connections are spread over the event
    /// loops in turn, so answers on enough fresh ones come from all of them, behind whatever came before.
    private static void awaitEveryEventLoop() throws IOException {
        List<Socket> sockets = new ArrayList<>();
        try {
            for (int i = 0; i < 4 * Runtime.getRuntime().availableProcessors(); i++) {
                sockets.add(server.raw().open());
            }
            for (Socket socket : sockets) {
                socket.getOutputStream().write("GET /health HTTP/1.0\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1));
            }
            for (Socket socket : sockets) {
                assertThat(RawHttp.read(socket, (int) SOON.toMillis())).contains(" 200 OK");
            }
        } finally {
            for (Socket socket : sockets) {
                socket.close();
            }
        }
    }

    private static double running() throws IOException, InterruptedException {
        return api.metricSum("vllm:num_requests_running", "");
    }

    private static double aborts() throws IOException, InterruptedException {
        return api.metric("sidewinder_aborts_total{engine=\"0\",reason=\"client_gone\"}");
    }

    private static Socket send(String body) throws IOException {
        Socket socket = server.raw().open();
        socket.getOutputStream().write(request(body));
        return socket;
    }

    private static String endless(int n, boolean stream, int promptTokens) {
        return "{\"prompt\":[" + "7,".repeat(promptTokens - 1) + "7],\"n\":" + n + ",\"stream\":" + stream
                + ",\"ignore_eos\":true,\"temperature\":1,\"max_tokens\":" + Math.min(ENDLESS, 190_000 - promptTokens) + "}";
    }

    private static byte[] request(String body) {
        return ("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
                + body.length() + "\r\n\r\n" + body).getBytes(StandardCharsets.ISO_8859_1);
    }

}
