package dev.sidewinder.server.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.server.settings.Installation;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

class EvalTargetTest {

    private static final Installation INSTALLATION = new Installation(Path.of("/opt/sidewinder"));

    @Test
    void theModelOfTheInstallationIsTheDefault() {
        assertThat(targets()).containsExactly(
                new EvalTarget.Folder("tiny bf16", "/opt/sidewinder/models/tiny", "bf16"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "--model a/b --arithmetic f32            | b f32                | ",
        "--against-arithmetic f32                | tiny bf16            | tiny f32",
        "--against m/other                       | tiny bf16            | other bf16",
        "--arithmetic f32 --against m/other      | tiny f32             | other f32",
        "--against m/other --against-arithmetic f32 | tiny bf16         | other f32",
        "--model a/tiny/ --against b/tiny        | a/tiny/ bf16         | b/tiny bf16",
        "--arithmetic f32 --against m/fp8 --against-arithmetic fp8 | tiny f32 | fp8 fp8",
        "--url http://127.0.0.1:8000             | 127.0.0.1:8000       | ",
        "--url http://127.0.0.1:8000 --against b | 127.0.0.1:8000       | b bf16",
    })
    void twoAreComparedWhenTheSecondIsAnother(String line, String first, String second) {
        assertThat(targets(line.split(" "))).extracting(EvalTarget::label)
                .containsExactlyElementsOf(second == null ? List.of(first) : List.of(first, second));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "--against-arithmetic bf16              | both models are /opt/sidewinder/models/tiny in bf16",
        "--model a --against a                  | both models are a in bf16",
        "--arithmetic f16                       | --arithmetic f16 is not known; choose f32, bf16 or fp8",
        "--against-arithmetic fp4               | --against-arithmetic fp4 is not known",
        "--url ftp://x                          | --url ftp://x is no http address",
        "--url http://x --model a               | --model and --arithmetic are its own",
        "--url http://x --arithmetic f32        | --model and --arithmetic are its own",
        "--url http://x --against-arithmetic f32 | needs --against",
    })
    void contradictionsAreWrongUsage(String line, String message) {
        assertThatThrownBy(() -> targets(line.split(" "))).isInstanceOfSatisfying(CommandException.class,
                e -> assertThat(e.status()).isEqualTo(2)).hasMessageContaining(message);
    }

    @Test
    void aServerOfItsOwnHasTimeAndRoom() {
        var folder = new EvalTarget.Folder("x", "a/b", "f32");

        assertThat(folder.flags(3)).startsWith("--model", "a/b", "--arithmetic", "f32", "--max-num-seqs", "3");
    }

    @Test
    void aRunningServerIsAskedWhereItIs() {
        assertThat(targets("--url", "http://127.0.0.1:8000"))
                .containsExactly(new EvalTarget.Running(URI.create("http://127.0.0.1:8000")));
    }

    private static List<EvalTarget> targets(String... arguments) {
        var command = new EvalCommand();
        new CommandLine(command).parseArgs(arguments);
        return EvalTarget.of(command, INSTALLATION);
    }
}
