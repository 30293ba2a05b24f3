package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.RawHttp;
import dev.sidewinder.it.support.ServerProcess;
import dev.sidewinder.it.support.Waiting;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/// SIGTERM: what was accepted may finish, the rest is told, and the exit code says that all went well.
class DrainIT {

    private static final Duration SOON = Duration.ofSeconds(60);

    @Test
    void finishesWhatRunsAndRefusesWhatIsNew() throws Exception {
        try (ServerProcess server = ServerProcess.start("--drain-limit", "120s", "--limits-stream-stall", "120s",
                "--max-model-len", "16384")) {
            Api api = server.api();
            try (var reader = new Socket()) {
                // given an answer that cannot end before its reader wants it to: it is more than all buffers on the way hold
                reader.setReceiveBufferSize(64 << 10);
                reader.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), server.port()));
                reader.getOutputStream().write(longAnswer().getBytes(StandardCharsets.ISO_8859_1));
                Waiting.until("the reader to be behind", SOON, () -> api.metricSum("sidewinder_slow_streams", "") == 1);

                // when the server is told to end
                server.terminate();

                // then readiness goes down while the answer goes on, liveness stays
                Waiting.until("readiness to go down", SOON, () -> api.get("/health/ready").status() == 503);
                assertThat(api.get("/health/live").status()).isEqualTo(200);
                // and new requests are refused
                Api.Answer refused = api.post("/v1/completions", "{\"prompt\":[1],\"max_tokens\":1}");
                assertThat(refused.status()).isEqualTo(503);
                assertThat(refused.code()).isEqualTo("draining");
                assertThat(refused.header("connection")).isEqualTo("close");
                assertThat(refused.header("retry-after")).isEqualTo("1");
                // and the running one comes to its end
                assertThat(RawHttp.read(reader, (int) SOON.toMillis())).startsWith("HTTP/1.1 200 ")
                        .contains("\"finish_reason\":\"length\"").endsWith("data: [DONE]\n\n\r\n0\r\n\r\n");
            }
            assertThat(server.exitCode(SOON)).isZero();
        }
    }

    @Test
    void tellsStreamsThatOutliveTheLimit() throws Exception {
        try (ServerProcess server = ServerProcess.start("--drain-limit", "1s", "--max-model-len", "200000");
                ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            Api api = server.api();
            Future<Api.Answer> plain = threads.submit(() -> api.post("/v1/completions",
                    "{\"prompt\":[7],\"ignore_eos\":true,\"max_tokens\":190000}"));
            try (EventReader stream = api.stream("/v1/completions", stream(190_000))) {
                assertThat(stream.next()).isNotNull();
                Waiting.until("both to run", SOON, () -> api.metricSum("vllm:num_requests_running", "") == 2);

                server.terminate();

                EventReader.Event last = null;
                for (EventReader.Event event : stream.all()) {
                    assertThat(event.isDone()).isFalse();
                    last = event;
                }
                assertThat(last.name()).isEqualTo("error");
                assertThat(last.json().at("/error/code").asText()).isEqualTo("draining");
                assertThat(plain.get().status()).isEqualTo(503);
                assertThat(plain.get().code()).isEqualTo("draining");
            }
            assertThat(server.exitCode(SOON)).isZero();
        }
    }

    @Test
    void endsAtOnceOnASecondSignal() throws Exception {
        try (ServerProcess server = ServerProcess.start("--max-model-len", "200000")) {
            Api api = server.api();
            try (EventReader stream = api.stream("/v1/completions", stream(190_000))) {
                assertThat(stream.next()).isNotNull();
                server.terminate();
                Waiting.until("readiness to go down", SOON, () -> api.get("/health/ready").status() == 503);

                server.terminate();

                assertThat(server.exitCode(SOON)).isEqualTo(143);
            }
        }
    }

    @Test
    void endsAtOnceWhenNothingRuns() {
        try (ServerProcess server = ServerProcess.start()) {
            server.terminate();

            assertThat(server.exitCode(SOON)).isZero();
        }
    }

    /// About 7 MB: 5,000 tokens with 20 alternatives each.
    private static String longAnswer() {
        String body = "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true,\"ignore_eos\":true,\"temperature\":1,"
                + "\"logprobs\":true,\"top_logprobs\":20,\"max_tokens\":5000}";
        return "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
                + body.length() + "\r\n\r\n" + body;
    }

    private static String stream(int tokens) {
        return "{\"prompt\":[7],\"stream\":true,\"ignore_eos\":true,\"temperature\":1,\"max_tokens\":" + tokens + "}";
    }
}
