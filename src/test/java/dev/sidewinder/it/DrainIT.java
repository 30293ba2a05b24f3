package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.ServerProcess;
import dev.sidewinder.it.support.Waiting;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/// SIGTERM: what was accepted may finish, the rest is told, and the exit code says that all went well.
class DrainIT {

    private static final Duration SOON = Duration.ofSeconds(20);

    @Test
    void finishesWhatRunsAndRefusesWhatIsNew() throws Exception {
        try (ServerProcess server = ServerProcess.start("--drain-limit", "60s")) {
            Api api = server.api();
            try (EventReader stream = api.stream("/v1/completions", stream(600))) {
                assertThat(stream.next()).isNotNull();

                // when it is told to end
                server.terminate();

                // then readiness goes down at once, liveness stays
                Waiting.until("readiness to go down", Duration.ofSeconds(1), () -> api.get("/health/ready").status() == 503);
                assertThat(api.get("/health/live").status()).isEqualTo(200);
                // and new requests are refused
                Api.Answer refused = api.post("/v1/completions", "{\"prompt\":[1],\"max_tokens\":1}");
                assertThat(refused.status()).isEqualTo(503);
                assertThat(refused.code()).isEqualTo("draining");
                assertThat(refused.header("connection")).isEqualTo("close");
                assertThat(refused.header("retry-after")).isEqualTo("1");
                // and the running one comes to its end
                List<EventReader.Event> events = stream.all();
                assertThat(events.getLast().isDone()).isTrue();
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
                Waiting.until("readiness to go down", Duration.ofSeconds(1), () -> api.get("/health/ready").status() == 503);

                server.terminate();

                assertThat(server.exitCode(Duration.ofSeconds(5))).isEqualTo(143);
            }
        }
    }

    @Test
    void endsAtOnceWhenNothingRuns() {
        try (ServerProcess server = ServerProcess.start()) {
            server.terminate();

            assertThat(server.exitCode(Duration.ofSeconds(10))).isZero();
        }
    }

    private static String stream(int tokens) {
        return "{\"prompt\":[7],\"stream\":true,\"ignore_eos\":true,\"temperature\":1,\"max_tokens\":" + tokens + "}";
    }
}
