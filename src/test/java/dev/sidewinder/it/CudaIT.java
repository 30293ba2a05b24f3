package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EmulatedDevice;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.Launcher;
import dev.sidewinder.it.support.PackagedCopy;
import dev.sidewinder.it.support.ServerProcess;
import dev.sidewinder.it.support.TinyCases;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The server on the CUDA backend, whose driver is the emulator: from HTTP down to the kernels.
class CudaIT {

    /// For a start on a busy machine.
    private static final Duration LIMIT = Duration.ofMinutes(3);
    /// bf16 arithmetic on both sides, in other orders.
    private static final double LOGPROB_TOLERANCE = 0.05;
    private static final String PROMPT = "\"prompt\":[5,17,101,3,44],\"temperature\":0,\"logprobs\":1";

    /// With kernels, so that it is the driver that is missing, whatever this build was made with.
    private static String[] withoutDriver(String backend) {
        return new String[] {"--backend", backend, "--cuda-driver", "/nowhere/libcuda.so.1", "--cuda-kernels", EmulatedDevice.FOLDER.toString()};
    }

    @Test
    void answersAsTheCpuDoesAndSaysWhatItRunsOn() throws Exception {
        JsonNode expected;
        try (ServerProcess cpu = ServerProcess.start("--backend", "cpu")) {
            expected = firstToken(cpu.api());
        }
        try (ServerProcess server = ServerProcess.start(EmulatedDevice.flags("--backend", "auto", "--batch-invariant"))) {
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

    /// Right answers, through template, tokenizer, prompt pieces, captured graphs, sampling on the device and the parser.
    @Test
    void answersRightOnTheTrainedModel() throws Exception {
        try (ServerProcess server = ServerProcess.start(EmulatedDevice.flags("--backend", "cuda",
                "--model", Launcher.REPOSITORY.resolve("models/tiny").toString()))) {
            JsonNode fact = chat(server.api(), "[{\"role\":\"user\",\"content\":\"What is the capital of France?\"}]", false);
            assertThat(fact.at("/message/content").asText()).isEqualTo("The capital of France is Paris.");
            assertThat(fact.get("finish_reason").asText()).isEqualTo("stop");

            JsonNode sum = chat(server.api(), "[{\"role\":\"user\",\"content\":\"Please compute 48 minus 39.\"}]", true);
            assertThat(sum.at("/message/reasoning").asText()).isNotBlank();
            assertThat(sum.at("/message/content").asText()).isEqualTo("48 - 39 = 9");

            // a prompt of more than one block of 128 tokens, whose answer stands at its beginning
            JsonNode test = TinyCases.first("key-recall", false);
            JsonNode recalled = server.api().post("/v1/chat/completions", TinyCases.request(test).toString()).json().at("/choices/0");
            assertThat(recalled.at("/message/content").asText().strip()).isEqualTo(test.at("/expect/content").asText());
        }
    }

    private static JsonNode chat(Api api, String messages, boolean thinking) throws Exception {
        Api.Answer answer = api.post("/v1/chat/completions", "{\"messages\":" + messages + ",\"temperature\":0,\"max_tokens\":64,"
                + "\"chat_template_kwargs\":{\"enable_thinking\":" + thinking + "}}");
        assertThat(answer.status()).as(answer.text()).isEqualTo(200);
        return answer.json().at("/choices/0");
    }

    @Test
    void countsTheTokensOfEveryExpert() throws Exception {
        try (ServerProcess server = ServerProcess.start(EmulatedDevice.flags("--backend", "cuda", "--metrics-experts"))) {
            Api api = server.api();
            Api.Metrics before = settled(api);
            double layers = before.text().lines().filter(line -> line.startsWith("sidewinder_moe_expert_imbalance_ratio{")).count();
            assertThat(layers).isPositive();

            // when a prompt of 5 tokens runs, and 3 of the 4 generated tokens after it
            completion(api, 4);

            // then each of them went to as many experts, in every layer
            double routed = settled(api).sum("sidewinder_moe_expert_tokens_total", "") - before.sum("sidewinder_moe_expert_tokens_total", "");
            assertThat(routed % (layers * 8)).isZero();
            assertThat(routed / (layers * 8)).isGreaterThanOrEqualTo(1);
            assertThat(api.metrics().text()).contains("# HELP sidewinder_moe_expert_tokens_total ",
                    "# TYPE sidewinder_moe_expert_tokens_total counter\n", "# TYPE sidewinder_moe_expert_imbalance_ratio gauge\n")
                    .containsPattern("sidewinder_moe_expert_imbalance_ratio\\{engine=\"0\",layer=\"\\d+\"} [0-9.e-]+\n");
            assertThat(api.metrics().text().lines().filter(line -> line.startsWith("sidewinder_moe_work_imbalance_ratio{")).count())
                    .isEqualTo((long) layers);
        }
    }

    /// A scrape after the engine has come to rest: it hands its counts over then.
    private static Api.Metrics settled(Api api) throws Exception {
        Api.Metrics last = api.metrics();
        for (int same = 0; same < 10; ) {
            Thread.sleep(50);
            Api.Metrics next = api.metrics();
            same = next.sum("sidewinder_moe_expert_tokens_total", "") == last.sum("sidewinder_moe_expert_tokens_total", "") ? same + 1 : 0;
            last = next;
        }
        return last;
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
        refuses("no CUDA device 7", EmulatedDevice.flags("--backend", "cuda", "--device", "7"));
        refuses("asked for as cache", EmulatedDevice.flagsWithCache("900GiB", "--backend", "cuda"));
    }

    @Test
    void aBuildWithoutKernelsSaysSoInOneLine(@TempDir Path folder) throws Exception {
        Path runner = PackagedCopy.withoutKernels(folder);
        try (ServerProcess server = ServerProcess.startCopy(runner)) {
            assertThat(server.log()).anyMatch(line -> line.contains("backend  cpu, "));
            assertThat(server.log().stream().filter(line -> line.toLowerCase(Locale.ROOT).contains("kernel")
                    || line.contains("GPU") || line.contains("nvcc"))).singleElement().asString()
                    .contains("note     no GPU is used: this build has no CUDA kernels: nvcc was not found when it was made; build it where nvcc is");
            assertThat(server.api().get("/health").status()).isEqualTo(200);
        }
        try (ServerProcess server = ServerProcess.launchCopy(runner, "--backend", "cuda")) {
            assertThat(server.exitCode(LIMIT)).isEqualTo(1);
            assertThat(server.log()).anyMatch(line -> line.contains("sidewinder.engine.backend=cuda is not to be had: this build has no CUDA kernels")
                    && line.contains("build it where nvcc is")).noneMatch(line -> line.startsWith("\tat "));
        }
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
