package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.ServerProcess;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/// The server on the CUDA backend, whose driver is the emulator: from HTTP down to the kernels.
class CudaIT {

    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final Path EMULATOR = Path.of(System.getProperty("sidewinder.emulator")).toAbsolutePath().normalize();
    /// bf16 arithmetic on both sides, in other orders.
    private static final double LOGPROB_TOLERANCE = 0.05;
    private static final String PROMPT = "\"prompt\":[5,17,101,3,44],\"temperature\":0,\"logprobs\":1";

    private static String[] onEmulator(String... more) {
        return onEmulatorWithCache("16MiB", more);
    }

    private static String[] onEmulatorWithCache(String cacheSize, String... more) {
        List<String> flags = new ArrayList<>(List.of("--cuda-driver", EMULATOR.resolve("libcuda.so.1").toString(), "--cuda-kernels",
                EMULATOR.toString(), "--max-num-batched-tokens", "256", "--max-num-seqs", "3", "--max-model-len", "384",
                "--cache-size", cacheSize));
        flags.addAll(List.of(more));
        return flags.toArray(String[]::new);
    }

    /// With kernels, so that it is the driver that is missing, whatever this build was made with.
    private static String[] withoutDriver(String backend) {
        return new String[] {"--backend", backend, "--cuda-driver", "/nowhere/libcuda.so.1", "--cuda-kernels", EMULATOR.toString()};
    }

    @Test
    void answersAsTheCpuDoesAndSaysWhatItRunsOn() throws Exception {
        JsonNode expected;
        try (ServerProcess cpu = ServerProcess.start("--backend", "cpu")) {
            expected = firstToken(cpu.api());
        }
        try (ServerProcess server = ServerProcess.start(onEmulator("--backend", "auto", "--batch-invariant"))) {
            Api api = server.api();
            // auto takes the device
            assertThat(server.log()).anyMatch(line -> line.contains("backend  cuda, ") && line.contains("batch-invariant"))
                    .anyMatch(line -> line.contains("memory   ") && line.contains("MiB weights"))
                    .noneMatch(line -> line.contains("no GPU is used"));

            // the first token is as likely as on the CPU
            JsonNode actual = firstToken(api);
            assertThat(actual.at("/logprobs/token_logprobs/0").asDouble())
                    .isCloseTo(expected.at("/logprobs/token_logprobs/0").asDouble(), within(LOGPROB_TOLERANCE));

            // the same request gives the same answer beside others
            JsonNode alone = completion(api, 4);
            List<Thread> others = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
                int first = i;
                others.add(Thread.ofVirtual().start(() -> {
                    try {
                        api.post("/v1/completions", "{\"prompt\":[" + first + ",9],\"max_tokens\":6,\"ignore_eos\":true}");
                    } catch (Exception e) {
                        throw new IllegalStateException(e);
                    }
                }));
            }
            assertThat(completion(api, 4)).isEqualTo(alone);
            for (Thread other : others) {
                other.join();
            }

            // a stream ends as it should
            try (EventReader events = api.stream("/v1/completions",
                    "{\"prompt\":[1,2,3],\"max_tokens\":3,\"ignore_eos\":true,\"stream\":true}")) {
                assertThat(events.all()).hasSizeGreaterThanOrEqualTo(3);
            }
            assertThat(api.get("/metrics").text()).containsPattern("sidewinder_device_info\\{[^}]*kernels=\"[^\"]*emulator[^\"]*\"[^}]*} 1");
            server.terminate();
            assertThat(server.exitCode(LIMIT)).isZero();
        }
    }

    @Test
    void saysWhyNoGpuIsUsed() throws Exception {
        try (ServerProcess server = ServerProcess.start(withoutDriver("auto"))) {
            assertThat(server.log()).anyMatch(line -> line.contains("backend  cpu, "))
                    .anyMatch(line -> line.contains("note     no GPU is used: ") && line.contains("/nowhere/libcuda.so.1"));
            assertThat(server.api().get("/health").status()).isEqualTo(200);
        }
    }

    @Test
    void doesNotStartWithoutTheGpuThatWasAskedFor() {
        refuses("/nowhere/libcuda.so.1", withoutDriver("cuda"));
        refuses("no CUDA device 7", onEmulator("--backend", "cuda", "--device", "7"));
        refuses("asked for as cache", onEmulatorWithCache("900GiB", "--backend", "cuda"));
    }

    private static void refuses(String reason, String... flags) {
        try (ServerProcess server = ServerProcess.launch(flags)) {
            assertThat(server.exitCode(LIMIT)).isEqualTo(1);
            assertThat(server.log()).anyMatch(line -> line.contains("sidewinder.engine.backend=cuda") && line.contains(reason))
                    .noneMatch(line -> line.startsWith("\tat "));
        }
    }

    private static JsonNode firstToken(Api api) throws Exception {
        return completion(api, 1);
    }

    private static JsonNode completion(Api api, int tokens) throws Exception {
        Api.Answer answer = api.post("/v1/completions", "{" + PROMPT + ",\"ignore_eos\":true,\"max_tokens\":" + tokens + "}");
        assertThat(answer.status()).as(answer.text()).isEqualTo(200);
        return answer.json().at("/choices/0");
    }
}
