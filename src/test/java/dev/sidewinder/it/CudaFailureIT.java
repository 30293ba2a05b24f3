package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EmulatedDevice;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.ServerProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Devices that fail, at start and under load: what the operator reads, what clients are told, and how the process ends.
class CudaFailureIT {

    /// For a start on a busy machine.
    private static final Duration LIMIT = Duration.ofMinutes(3);
    private static final Duration HEALTH_LIMIT = Duration.ofSeconds(1);
    private static final Duration EXIT_LIMIT = Duration.ofSeconds(30);
    private static final String LONG = "\"ignore_eos\":true,\"max_tokens\":300}";

    @TempDir
    Path folder;

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "700 | 70 | CUDA_ERROR_ILLEGAL_ADDRESS (700): an illegal memory access was encountered; the process ends",
        "214 | 71 | CUDA_ERROR_ECC_UNCORRECTABLE (214): uncorrectable ECC error encountered; the device is broken",
    })
    void endsEveryRequestAndTheProcessWhenTheDeviceFails(int code, int exitCode, String line) throws Exception {
        Path planted = folder.resolve("planted");
        try (ServerProcess server = ServerProcess.start(EmulatedDevice.failing("cuGraphLaunch", code, planted),
                EmulatedDevice.flags("--backend", "cuda"))) {
            // given two streams that have begun, and a plain request
            Api api = server.api();
            try (EventReader first = api.stream("/v1/completions", "{\"prompt\":[1,2,3],\"stream\":true," + LONG);
                    EventReader second = api.stream("/v1/completions", "{\"prompt\":[4,5],\"stream\":true," + LONG)) {
                assertThat(first.next().name()).isEmpty();
                assertThat(second.next().name()).isEmpty();
                CompletableFuture<Api.Answer> plain = CompletableFuture.supplyAsync(() -> post(api));
                while (api.metricSum("vllm:num_requests_running", "") < 3) {
                    Thread.sleep(10);
                }
                List<Health> healths = new ArrayList<>();
                Thread probe = Thread.ofVirtual().start(() -> probe(server, healths));

                // when the device fails
                Files.createFile(planted);

                // then every stream ends with the error, and so does the plain request
                for (EventReader events : List.of(first, second)) {
                    EventReader.Event last = null;
                    for (EventReader.Event event : events.all()) {
                        last = event;
                    }
                    assertThat(last.name()).isEqualTo("error");
                    assertThat(last.json().at("/error/code").asText()).isEqualTo("engine_failed");
                }
                long told = System.nanoTime();
                assertThat(plain.get(60, TimeUnit.SECONDS).status()).isEqualTo(503);
                assertThat(plain.get().code()).isEqualTo("engine_failed");
                // and the process says why and ends; until then it is not healthy, from a second behind that on at the latest
                assertThat(server.exitCode(EXIT_LIMIT)).isEqualTo(exitCode);
                probe.join();
                assertThat(healths).isNotEmpty().filteredOn(health -> health.nanos() > told + HEALTH_LIMIT.toNanos())
                        .allMatch(health -> health.status() != 200);
            }
            assertThat(server.log()).anyMatch(text -> text.contains("engine failed in step"))
                    .anyMatch(text -> text.contains("the engine has failed: cuGraphLaunch failed with " + line));
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "cuMemAlloc | 2 | 1 | CUDA_ERROR_OUT_OF_MEMORY (2): out of memory; something else takes memory of the device",
        "cuMemAlloc | 214 | 71 | the device is broken, do not start again on this machine",
        "cuDevicePrimaryCtxRetain | 214 | 71 | the device is broken, do not start again on this machine",
        "cuGraphLaunch | 700 | 70 | cuGraphLaunch failed with CUDA_ERROR_ILLEGAL_ADDRESS (700)",
        "cuInit | 100 | 1 | does not start: CUDA_ERROR_NO_DEVICE (100): no CUDA-capable device is detected",
        "cuModuleLoadData | 222 | 1 | install a newer driver, or build with the nvcc of this one",
    })
    void saysWhyItDoesNotStart(String call, int code, int exitCode, String line) {
        // the file that the fault waits for is there from the beginning
        try (ServerProcess server = ServerProcess.launch(EmulatedDevice.failing(call, code, folder),
                EmulatedDevice.flags("--backend", "cuda"))) {
            assertThat(server.exitCode(LIMIT)).as(() -> String.join("\n", server.log())).isEqualTo(exitCode);
            assertThat(server.log()).anyMatch(text -> text.contains(line)).noneMatch(text -> text.contains("ready    http"));
        }
    }

    /// @param status 0 when there was no answer
    private record Health(long nanos, int status) {}

    /// Asks until the process has ended.
    private static void probe(ServerProcess server, List<Health> healths) {
        while (server.isAlive()) {
            try {
                healths.add(new Health(System.nanoTime(), server.api().get("/health").status()));
                Thread.sleep(20);
            } catch (IOException e) {
                healths.add(new Health(System.nanoTime(), 0));
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    private static Api.Answer post(Api api) {
        try {
            return api.post("/v1/completions", "{\"prompt\":[6]," + LONG);
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
