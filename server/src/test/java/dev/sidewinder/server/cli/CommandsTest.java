package dev.sidewinder.server.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.server.api.Tenant;
import dev.sidewinder.server.auth.Caller;
import dev.sidewinder.server.auth.Gatekeeper;
import dev.sidewinder.server.auth.KeyFile;
import dev.sidewinder.server.auth.Role;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

class CommandsTest {

    private final StringWriter errors = new StringWriter();
    private final StringWriter output = new StringWriter();

    @ParameterizedTest
    @ValueSource(strings = {"chat --temprature 1", "chat --max-tokens many", "chat --url nonsense", "chta",
        "eval --concurrency 0", "eval --concurrency 257", "eval --limit 0", "eval --show-wrong -1", "eval --tsks copy",
        "eval --url nonsense", "eval --model a --against a",
        "key", "key --id", "key --id a/b", "key --id anonymous", "key --id a --roles admin", "key --id a --weight 0",
        "key --id a --priority-floor 2000"})
    void wrongArgumentsAreOneLineAndStatusTwo(String line) {
        assertThat(run(line.split(" "))).isEqualTo(2);
        assertThat(errors.toString().lines()).hasSize(1);
        assertThat(errors.toString()).startsWith("sidewinder").doesNotContain("Exception");
    }

    @Test
    void namesTheOptionThatWasMeant() {
        run("chat", "--temprature", "1");

        assertThat(errors.toString()).contains("--temprature", "did you mean --temperature?");
    }

    @Test
    void aFailureIsOneLineAndStatusOne() throws Exception {
        int nobodyThere;
        try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            nobodyThere = socket.getLocalPort();
        }

        assertThat(run("chat", "--url", "http://127.0.0.1:" + nobodyThere)).isEqualTo(1);
        assertThat(errors.toString()).isEqualTo("sidewinder chat: no server answers at http://127.0.0.1:" + nobodyThere
                + "; start one with ./sidewinder serve\n");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "eval --set /nowhere.jsonl | sidewinder eval: the test set /nowhere.jsonl cannot be read: there is no such file",
        "eval --url http://127.0.0.1:1 --set SET | sidewinder eval: no server answers at http://127.0.0.1:1/: ",
        "eval --tasks b --set SET | sidewinder eval: the test set has no task \"b\"; it has a",
        "eval --json /nowhere/at/all.json --set SET | sidewinder eval: --json /nowhere/at/all.json cannot be written: ",
    })
    void anEvaluationThatCannotBeIsOneLineAndStatusOne(String line, String message, @TempDir Path folder) throws Exception {
        Path set = Files.writeString(folder.resolve("set.jsonl"), "{\"id\":\"x\",\"task\":\"a\",\"messages\":[{}],"
                + "\"max_tokens\":1,\"expect\":{\"content\":\"\"}}");

        assertThat(run(line.replace("SET", set.toString()).split(" "))).isEqualTo(1);
        assertThat(errors.toString().lines()).hasSize(1);
        assertThat(errors.toString()).startsWith(message);
    }

    @Test
    void makesAKeyAndTheLineThatTheServerKnowsItBy(@TempDir Path folder) throws Exception {
        assertThat(run("key", "--id", "team-a", "--roles", "inference,metrics", "--weight", "3")).isZero();

        assertThat(errors.toString().lines()).singleElement().asString().startsWith("the key of team-a, shown this once: sk-sw-");
        String key = errors.toString().strip().substring(errors.toString().lastIndexOf(' ') + 1);
        assertThat(output.toString()).startsWith("team-a:inference,metrics:").endsWith(":weight=3\n").doesNotContain(key);
        Path file = Files.writeString(folder.resolve("keys"), output.toString());
        Caller caller = Gatekeeper.with(() -> KeyFile.read(file)).admit(List.of("Bearer " + key), List.of(), Set.of(Role.METRICS));
        assertThat(caller.tenant()).isEqualTo(new Tenant("team-a", 3, -1000));
    }

    @Test
    void everyCommandExplainsItself() {
        CommandLine commands = Commands.commandLine();
        assertThat(commands.getSubcommands()).isNotEmpty();
        for (String name : commands.getSubcommands().keySet()) {
            output.getBuffer().setLength(0);
            assertThat(run(name, "--help")).isZero();
            assertThat(output.toString()).contains("Usage: sidewinder " + name, "--help");
        }
    }

    private int run(String... arguments) {
        return Commands.commandLine().setErr(new PrintWriter(errors, true)).setOut(new PrintWriter(output, true))
                .execute(arguments);
    }
}
