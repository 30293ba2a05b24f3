package dev.sidewinder.server.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetAddress;
import java.net.ServerSocket;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

class CommandsTest {

    private final StringWriter errors = new StringWriter();
    private final StringWriter output = new StringWriter();

    @ParameterizedTest
    @ValueSource(strings = {"chat --temprature 1", "chat --max-tokens many", "chat --url nonsense", "chta"})
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
