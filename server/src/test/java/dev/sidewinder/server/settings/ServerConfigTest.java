package dev.sidewinder.server.settings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.server.api.Limit;
import dev.sidewinder.server.api.ReasoningFields;
import dev.sidewinder.server.api.ThinkingDefaults;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ServerConfigTest {

    private static final Installation INSTALLATION = new Installation(Path.of("/opt/sidewinder"));

    @TempDir
    Path folder;

    @Test
    void hasTheDocumentedDefaults() {
        ServerConfig config = read();

        assertThat(config.http().port()).isEqualTo(8000);
        assertThat(config.http().host()).isEqualTo("127.0.0.1");
        assertThat(config.model().location()).isEqualTo("/opt/sidewinder/models/tiny");
        assertThat(config.engine().arithmetic()).isEqualTo(ServerConfig.ArithmeticKind.BF16);
        assertThat(config.engine().backend()).isEqualTo(ServerConfig.BackendKind.AUTO);
        assertThat(config.engine().batchTokens(512)).isEqualTo(512);
        assertThat(config.engine().cuda()).isEqualTo(new ServerConfig.Cuda(0, false, true, Optional.empty(), Optional.empty()));
        assertThat(config.drain().limit()).isEqualTo(Duration.ofSeconds(45));
        assertThat(config.transport().headersBytes()).isEqualTo(16 * 1024);
        assertThat(config.api().limits().get(Limit.BODY_BYTES)).isEqualTo(32 << 20);
        assertThat(config.api().reasoningFields()).isEqualTo(ReasoningFields.BOTH);
    }

    @Test
    void servesTheModelThatIsNamedWhereverItIsNamed() throws IOException {
        assertThat(read("--model", "m/other").model().location()).isEqualTo("m/other");
        assertThat(ServerConfig.read(List.of(), Map.of("SIDEWINDER_MODEL_LOCATION", "synthetic:demo"), folder,
                INSTALLATION).model().location()).isEqualTo("synthetic:demo");
        Files.writeString(folder.resolve("sidewinder.properties"), "sidewinder.model.location=/models/nano\n");
        assertThat(read().model().location()).isEqualTo("/models/nano");
        assertThatThrownBy(() -> read("--model", "")).hasMessageContaining("\"\" is not a value for sidewinder.model.location");
    }

    @Test
    void takesFlagsBeforeEnvironmentBeforeFile() throws IOException {
        // given all three
        Files.writeString(folder.resolve("sidewinder.properties"),
                "sidewinder.http.port=1\nsidewinder.drain.limit=1s\nsidewinder.api.strict=true\n");
        Map<String, String> environment = Map.of("SIDEWINDER_HTTP_PORT", "2", "SIDEWINDER_DRAIN_LIMIT", "2s",
                "PATH", "not ours", "SIDEWINDER_JAVA_HOME", "the launcher's");

        // when a flag names one of them
        ServerConfig config = ServerConfig.read(List.of("--port", "3"), environment, folder, INSTALLATION);

        // then each value comes from the first place that has it
        assertThat(config.http().port()).isEqualTo(3);
        assertThat(config.drain().limit()).isEqualTo(Duration.ofSeconds(2));
        assertThat(config.api().strict()).isTrue();
    }

    @Test
    void readsTheFileThatIsNamedInPlaceOfTheUsualOne() throws IOException {
        Files.writeString(folder.resolve("sidewinder.properties"), "sidewinder.http.port=1\n");
        Path named = Files.writeString(folder.resolve("other.properties"), "sidewinder.drain.limit=7s\n");

        ServerConfig config = read("--config", named.toString());

        assertThat(config.http().port()).isEqualTo(8000);
        assertThat(config.drain().limit()).isEqualTo(Duration.ofSeconds(7));
    }

    @ParameterizedTest
    @CsvSource({"--model=x,x", "--model x,x", "--model-location x,x"})
    void takesEverySpellingOfAFlag(String flags, String expected) {
        assertThat(read(flags.split(" ")).model().location()).isEqualTo(expected);
    }

    @Test
    void takesABareFlagForTrue() {
        assertThat(read("--api-strict").api().strict()).isTrue();
        assertThat(read("--api-strict=false").api().strict()).isFalse();
    }

    @Test
    void takesBudgetsAndTheTextThatClosesReasoning() {
        ThinkingDefaults standard = read().api().thinking();
        assertThat(standard).isEqualTo(ThinkingDefaults.standard());
        assertThat(standard.closingText()).isEqualTo("\n\n</think>");

        ThinkingDefaults thinking = read("--chat-effort-budgets", "1, 20,300", "--chat-thinking-end-text", " Enough.\\n</think>",
                "--chat-thinking=false").api().thinking();
        assertThat(thinking).isEqualTo(new ThinkingDefaults(false, new ThinkingDefaults.EffortBudgets(1, 20, 300), " Enough.\n</think>"));
    }

    @Test
    void acceptsFlagsOfOtherServersThatChangeNothingAndSaysSo() {
        ServerConfig config = read("--enable-auto-tool-choice", "--reasoning-parser", "nemotron", "--trust-remote-code");

        assertThat(config.notes()).hasSize(3).anyMatch(note -> note.contains("--reasoning-parser"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "--prot 1 | did you mean --port?",
        "--max-model-length 5 | did you mean --max-model-len?",
        "--gpu-memory-utilization 0.9 | unknown flag",
        "--port | --port needs a value",
        "--port abc | \"abc\" is not a value for sidewinder.http.port, which takes integer 0..65535",
        "--port 65536 | integer 0..65535",
        "--port -1 | integer 0..65535",
        "--port 1 --http-port 2 | --port has set already",
        "positional | takes flags only",
        "--chat-effort-budgets 1,2 | sidewinder.chat.effort-budgets",
        "--chat-effort-budgets 1,2,-3 | sidewinder.chat.effort-budgets",
        "--chat-thinking-end-text stop | ends with",
        "--chat-thinking-end-text </think></think> | ends with",
        "--chat-thinking-end-text </think>. | ends with",
        "--host 0.0.0.0 | sidewinder.auth.mode=none",
        "--max-num-batched-tokens 500 | multiple of 128",
        "--limits-body-bytes 300000000 | sidewinder.limits.body-bytes",
        "--limits-headers 4KiB --limits-header 8KiB | sidewinder.limits.header=8192 is more than",
        "--drain-linger 60s | sidewinder.drain.linger is longer",
        "--arithmetic f16 | one of `bf16`, `f32`",
        "--kv-cache-dtype int4 | one of `auto`",
        "--backend cpu --kv-cache-dtype fp8 | runs on a GPU only",
        "--backend cuda --arithmetic f32 | runs on the CPU only",
        "--backend cuda --arithmetic fp8 | arithmetic=fp8 runs on the CPU only",
        "--kv-cache-dtype bf16 --arithmetic f32 | contradicts",
        "--device -1 | integer 0..63",
        "--http-heartbeat forever | time 0s..10m",
        "--config /nowhere/at/all | cannot read the settings file",
    })
    void stopsTheStartAndSaysWhatIsWrong(String flags, String message) {
        assertThatThrownBy(() -> read(flags.split(" "))).isInstanceOf(SettingsException.class)
                .hasMessageContaining(message.strip());
    }

    @Test
    void namesTheNearestVariableForAnUnknownOne() {
        assertThatThrownBy(() -> ServerConfig.read(List.of(), Map.of("SIDEWINDER_HTTP_PROT", "1"), folder, INSTALLATION))
                .hasMessage("unknown environment variable: SIDEWINDER_HTTP_PROT; did you mean SIDEWINDER_HTTP_PORT?");
    }

    @Test
    void namesTheNearestSettingForAnUnknownLineOfAFile() throws IOException {
        Files.writeString(folder.resolve("sidewinder.properties"), "sidewinder.http.prt=1\n");

        assertThatThrownBy(this::read).isInstanceOf(SettingsException.class)
                .hasMessageContaining("did you mean sidewinder.http.port?");
    }

    @Test
    void refusesALineThatStandsTwice() throws IOException {
        Files.writeString(folder.resolve("sidewinder.properties"), "sidewinder.http.port=1\nsidewinder.http.port=2\n");

        assertThatThrownBy(this::read).isInstanceOf(SettingsException.class).hasMessageContaining("twice");
    }

    @Test
    void allowsAnotherAddressWhenAskedTo() {
        assertThat(read("--host", "0.0.0.0", "--auth-mode", "none").http().loopback()).isFalse();
        assertThat(read("--host", "::1").http().loopback()).isTrue();
    }

    @Test
    void allowsAnotherAddressWithKeys() throws IOException {
        Path keys = Files.writeString(folder.resolve("keys"), "a:inference:" + "0f".repeat(32) + "\n");
        assertThat(read("--host", "0.0.0.0", "--api-key-file", keys.toString()).http().keys()).contains(keys);
        assertThatThrownBy(() -> read("--auth-mode", "none", "--api-key-file", keys.toString())).hasMessageContaining("leave one of them out");
    }

    @Test
    void stopsTheStartForAFileOfKeysThatCannotBeUsed() throws IOException {
        assertThatThrownBy(() -> read("--api-key-file", "/nowhere/at/all")).isInstanceOf(SettingsException.class)
                .hasMessageContaining("sidewinder.auth.keys-file: cannot read");
        Path keys = Files.writeString(folder.resolve("keys"), "# mine\na:inference:sk-the-key-itself\n");
        assertThatThrownBy(() -> read("--api-key-file", keys.toString())).isInstanceOf(SettingsException.class)
                .hasMessageContaining("line 2").hasMessageNotContaining("sk-the-key-itself");
    }

    @ParameterizedTest
    @CsvSource({"1500ms,1500", "2s,2000", "3,3000", "1m,60000"})
    void readsTimes(String text, long millis) {
        assertThat(read("--http-heartbeat", text).http().heartbeat()).isEqualTo(Duration.ofMillis(millis));
    }

    @ParameterizedTest
    @CsvSource({"4096,4096", "4KiB,4096", "1 MiB,1048576"})
    void readsSizes(String text, int bytes) {
        assertThat(read("--limits-stream-bytes", text).work().streamBytes()).isEqualTo(bytes);
    }

    @Test
    void hasADefaultWithinItsOwnBoundsForEverySetting() {
        for (Setting<?> setting : Settings.ALL) {
            if (!setting.fallback().isEmpty()) {
                assertThat(setting.parse(setting.fallback(), "default")).as(setting.name()).isNotNull();
            }
        }
    }

    private ServerConfig read(String... flags) {
        return ServerConfig.read(List.of(flags), Map.of(), folder, INSTALLATION);
    }
}
