package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.ServerProcess;
import dev.sidewinder.it.support.Waiting;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// More requests than there are places.
class OverloadIT {

    private static ServerProcess server;
    private static Api api;

    @BeforeAll
    static void start() {
        server = ServerProcess.start("--max-num-seqs", "1", "--max-num-queued-reqs", "2", "--max-model-len", "100000");
        api = server.api();
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @Test
    void refusesAtOnceWhatDoesNotFitIntoTheQueue() throws Exception {
        String endless = "{\"prompt\":[7],\"stream\":true,\"ignore_eos\":true,\"max_tokens\":90000}";
        List<EventReader> streams = new ArrayList<>();
        List<Future<EventReader>> waiting = new ArrayList<>();
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            // given one that runs and two that wait
            streams.add(api.stream("/v1/completions", endless));
            for (int i = 0; i < 2; i++) {
                waiting.add(threads.submit(() -> api.stream("/v1/completions", endless)));
            }
            Waiting.until("the queue to be full", Duration.ofSeconds(10),
                    () -> api.metricSum("sidewinder_queue_requests", "") == 2);

            // when more come, among them one whose rendering would take its time
            String long_ = "{\"messages\":[{\"role\":\"user\",\"content\":\"" + "long words ".repeat(40_000) + "\"}]}";
            api.post("/v1/completions", "{\"prompt\":\"a\"}");
            List<Long> nanos = new ArrayList<>();
            for (int i = 0; i < 50; i++) {
                long start = System.nanoTime();
                Api.Answer refused = i % 2 == 0
                        ? api.post("/v1/completions", "{\"prompt\":\"a\"}") : api.post("/v1/chat/completions", long_);
                nanos.add(System.nanoTime() - start);

                // then each is told to come back
                assertThat(refused.status()).as(refused.text()).isEqualTo(503);
                assertThat(refused.code()).isEqualTo("server_overloaded");
                assertThat(refused.json().at("/error/type").asText()).isEqualTo("overloaded_error");
                assertThat(refused.header("x-should-retry")).isEqualTo("true");
                assertThat(Integer.parseInt(refused.header("retry-after"))).isBetween(1, 36);
                assertThat(Integer.parseInt(refused.header("retry-after-ms"))).isBetween(800, 36_000);
            }
            // and the median of the refusals, on a machine that is busy generating, is quick
            nanos.sort(null);
            assertThat(nanos.get(25)).isLessThan(Duration.ofMillis(50).toNanos());
            assertThat(api.metric("sidewinder_refusals_total{engine=\"0\",reason=\"queue_requests\"}")).isGreaterThanOrEqualTo(50);
            assertThat(api.metricSum("vllm:admission_rejections_total", "queue_requests")).isGreaterThanOrEqualTo(50);

            // and a full queue does not make the server unready
            assertThat(api.get("/health/ready").status()).isEqualTo(200);
            streams.getFirst().close();
            for (Future<EventReader> stream : waiting) {
                streams.add(stream.get());
                stream.get().close();
            }
        }
        api.awaitRest();
    }

    @Test
    void takesARequestThatIsLargerThanTheQueueWhenNobodyElseWaits() throws Exception {
        Api.Answer answer = api.post("/v1/completions", "{\"prompt\":\"a\",\"n\":3,\"max_tokens\":1}");

        assertThat(answer.status()).as(answer.text()).isEqualTo(200);
        assertThat(answer.json().path("choices")).hasSize(3);
        api.awaitRest();
    }
}
