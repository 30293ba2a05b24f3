package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.Script;
import dev.sidewinder.it.support.ServerProcess;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What the end of the process tells a supervisor, where a damaged model is the cause: 75 when the self-test finds it, 70
/// when the traffic does. `DrainIT` has 0 and 143, `StartIT` 1.
class ExitCodeIT {

    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final byte[] BF16_NAN = {(byte) 0xC0, 0x7F};
    /// A token that the self-test does not use.
    private static final int DAMAGED_TOKEN = 300;

    @TempDir
    Path folder;

    @Test
    void is75WhenTheModelComputesNonsenseFromTheStart() throws Exception {
        Script.write(folder);
        damageEmbeddings(0, Integer.MAX_VALUE);

        try (ServerProcess server = ServerProcess.launch("--model", folder.toString())) {
            assertThat(server.exitCode(LIMIT)).isEqualTo(75);
            assertThat(server.log()).anyMatch(line -> line.contains("the self-test failed: the model computed NaN"))
                    .noneMatch(line -> line.startsWith("\tat ") || line.contains("ready    http"));
        }
    }

    @Test
    void is70WhenDifferentPromptsShowThatTheModelIsDamaged() throws Exception {
        // given a model with one damaged token, and a stream that has nothing to do with it
        Script.write(folder);
        damageEmbeddings(DAMAGED_TOKEN, DAMAGED_TOKEN + 1);
        try (ServerProcess server = ServerProcess.start("--model", folder.toString(), "--max-model-len", "200000")) {
            Api api = server.api();
            try (EventReader bystander = api.stream("/v1/chat/completions", "{\"stream\":true,\"enable_thinking\":false,"
                    + "\"messages\":[{\"role\":\"user\",\"content\":\"" + Script.ENDLESS_QUESTION + "\"}]}")) {
                assertThat(bystander.next().name()).isEmpty();

                // when prompts with the token fail, they fail alone, and the same one is not to be sent a third time
                checkFails(api, "[" + DAMAGED_TOKEN + "]", true);
                checkFails(api, "[" + DAMAGED_TOKEN + "]", false);
                checkFails(api, "[7," + DAMAGED_TOKEN + "]", true);
                assertThat(api.get("/health").status()).isEqualTo(200);
                assertThat(bystander.next().name()).isEmpty();
                checkFails(api, "[8," + DAMAGED_TOKEN + "]", true);

                // then the third one that is different ends the server: every stream is told, and the supervisor too
                EventReader.Event last = null;
                for (EventReader.Event event : bystander.all()) {
                    last = event;
                }
                assertThat(last.name()).isEqualTo("error");
                assertThat(last.json().at("/error/code").asText()).isEqualTo("engine_failed");
            }
            assertThat(server.exitCode(Duration.ofSeconds(30))).isEqualTo(70);
            assertThat(server.log()).anyMatch(line -> line.contains("weights or memory are damaged"))
                    .noneMatch(line -> line.startsWith("\tat "));
        }
    }

    private static void checkFails(Api api, String prompt, boolean mayRetry) throws Exception {
        Api.Answer answer = api.post("/v1/completions", "{\"prompt\":" + prompt + ",\"max_tokens\":2}");
        assertThat(answer.status()).isEqualTo(500);
        assertThat(answer.code()).isEqualTo("numeric_error");
        assertThat(answer.header("x-should-retry")).isEqualTo(Boolean.toString(mayRetry));
    }

    /// Overwrites rows of the embedding with NaN.
    private void damageEmbeddings(int from, int to) throws IOException {
        try (var file = new RandomAccessFile(folder.resolve("model.safetensors").toFile(), "rw")) {
            int headerBytes = Math.toIntExact(Long.reverseBytes(file.readLong()));
            byte[] header = new byte[headerBytes];
            file.readFully(header);
            Map.Entry<String, JsonNode> tensor = Api.parse(new String(header, StandardCharsets.UTF_8)).properties().stream()
                    .filter(entry -> entry.getKey().endsWith("embeddings.weight")).findFirst().orElseThrow();
            assertThat(tensor.getValue().path("dtype").asText()).isEqualTo("BF16");
            int rows = tensor.getValue().at("/shape/0").asInt();
            int width = tensor.getValue().at("/shape/1").asInt();
            file.seek(8L + headerBytes + tensor.getValue().at("/data_offsets/0").asLong() + 2L * from * width);
            for (int i = 0; i < (Math.min(to, rows) - from) * width; i++) {
                file.write(BF16_NAN);
            }
        }
    }
}
