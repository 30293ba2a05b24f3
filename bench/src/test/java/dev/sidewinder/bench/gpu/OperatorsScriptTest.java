package dev.sidewinder.bench.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.sidewinder.bench.gpu.GpuBench.Sizes;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// `operators.py` as the benchmark calls it, on a stand-in for PyTorch that checks shapes and types; and on PyTorch itself, on the
/// CPU, where `-Dsidewinder.test.python` names a Python that has it.
@Timeout(300)
class OperatorsScriptTest {

    @TempDir
    Path folder;

    private void copy(String resource, Path to) throws IOException {
        try (InputStream content = PyTorch.class.getResourceAsStream(resource)) {
            Files.copy(content, to);
        }
    }

    /// Lines that the script answers, the first of which names the version.
    private List<String> answers(String python, String device, List<String> requests) throws Exception {
        Path script = folder.resolve("operators.py");
        copy("operators.py", script);
        Path input = Files.write(folder.resolve("requests"), requests);
        Path output = folder.resolve("answers");
        ProcessBuilder builder = new ProcessBuilder(python, script.toString(), "3", device).redirectInput(input.toFile())
                .redirectOutput(output.toFile()).redirectErrorStream(true);
        builder.environment().put("PYTHONPATH", folder.toString());
        builder.environment().put("PYTHONDONTWRITEBYTECODE", "1");
        Process process = builder.start();
        assertThat(process.waitFor(250, TimeUnit.SECONDS)).as("ends").isTrue();
        String said = Files.readString(output, StandardCharsets.UTF_8);
        assertThat(process.exitValue()).as(said).isZero();
        return said.lines().toList();
    }

    private static boolean has(String python) throws Exception {
        try {
            return new ProcessBuilder(python, "--version").redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start().waitFor() == 0;
        } catch (IOException absent) {
            return false;
        }
    }

    @Test
    void answersEveryRequestOfTheBenchmark() throws Exception {
        assumeTrue(has("python3"), "there is no python3 here");
        copy("stand_in/torch.py", folder.resolve("torch.py"));
        List<String> requests = PyTorch.requests(Sizes.REAL.model()).stream().map(PyTorch.Request::line).toList();
        assertThat(requests).anyMatch(line -> line.startsWith("linear bf16")).anyMatch(line -> line.startsWith("linear fp8"))
                .anyMatch(line -> line.startsWith("decode")).anyMatch(line -> line.startsWith("prompt"));

        List<String> answers = answers("python3", "cuda", requests);

        // the time of one call, whatever the length of the chain; one that the library cannot do keeps the others from nothing
        assertThat(answers).hasSize(1 + requests.size()).startsWith("torch stand-in");
        for (int i = 0; i < requests.size(); i++) {
            assertThat(answers.get(1 + i)).as(requests.get(i))
                    .isEqualTo(requests.get(i).startsWith("decode") ? "left out, no such operator" : "ok 20.000 20.000");
        }
    }

    @Test
    void aRequestThatItDoesNotKnowEndsNothing() throws Exception {
        assumeTrue(has("python3"), "there is no python3 here");
        copy("stand_in/torch.py", folder.resolve("torch.py"));
        assertThat(answers("python3", "cuda", List.of("nonsense 1", "linear fp4 1 2 3", "linear bf16 2 3", "linear bf16 2 3 4")))
                .containsExactly("torch stand-in", "left out, unknown request nonsense 1", "left out, 'fp4'",
                        "left out, linear_bf16() missing 1 required positional argument: 'k'", "ok 20.000 20.000");
    }

    /// Small ones: PyTorch's fp8 product on the CPU takes 0.1 microseconds a multiplication.
    @Test
    void runsOnPyTorchItself() throws Exception {
        String python = System.getProperty("sidewinder.test.python");
        assumeTrue(python != null, "needs -Dsidewinder.test.python=PROGRAM, a Python with PyTorch");
        List<String> answers = answers(python, "cpu", List.of("linear bf16 1 96 64", "linear bf16 16 30 50", "linear fp8 16 32 64",
                "decode 2 70 8 2 64", "prompt 33 8 2 64"));
        assertThat(answers).hasSize(6);
        assertThat(answers.subList(1, 6)).allMatch(line -> line.matches("ok \\d+\\.\\d{3} \\d+\\.\\d{3}"));
    }
}
