package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.it.support.ServerProcess;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Starts that fail: one clear line and exit code 1, never a stack trace.
class StartIT {

    private static final Duration LIMIT = Duration.ofSeconds(60);

    @TempDir
    Path folder;

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "--prot 80 | unknown flag: --prot; did you mean --port?",
        "--host 0.0.0.0 | sidewinder.auth.mode=none",
        "--model /nowhere/at/all | /nowhere/at/all",
        "--model synthetic:nonsense | nonsense",
        "--max-num-seqs 512 | sidewinder.engine.max-num-seqs=512 leaves no room",
        "--cache-size 1KiB | the caches have 1024 bytes",
        "--limits-headers 1 | is not a value for sidewinder.limits.headers",
    })
    void saysInOneLineWhatIsWrong(String flags, String expected) {
        failsWith(expected, flags.split(" "));
    }

    @Test
    void saysThatThePortIsTaken() throws Exception {
        try (var taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            failsWith("the port is taken; choose another one with --port", "--port", Integer.toString(taken.getLocalPort()));
        }
    }

    @Test
    void saysWhichFileOfACheckpointIsBroken() throws Exception {
        Files.writeString(folder.resolve("config.json"), "{\"model_type\":\"nemotron_h\"");

        failsWith("config.json", "--model", folder.toString());
    }

    @Test
    void helpsWithoutStarting() {
        try (ServerProcess server = ServerProcess.launch("--help")) {
            assertThat(server.exitCode(LIMIT)).isZero();
            assertThat(server.log()).anyMatch(line -> line.contains("--max-num-queued-reqs"));
        }
    }

    private static void failsWith(String expected, String... flags) {
        try (ServerProcess server = ServerProcess.launch(flags)) {
            assertThat(server.exitCode(LIMIT)).isEqualTo(1);
            List<String> log = server.log();
            assertThat(log).anyMatch(line -> line.contains(expected));
            assertThat(log).noneMatch(line -> line.startsWith("\tat "));
        }
    }
}
