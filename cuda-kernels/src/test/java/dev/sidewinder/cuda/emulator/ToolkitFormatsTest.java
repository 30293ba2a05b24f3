package dev.sidewinder.cuda.emulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Our bf16, f16 and e4m3 against those of NVIDIA's headers, where a CUDA toolkit is installed.
class ToolkitFormatsTest {

    private static final Path SOURCES = Path.of("src/test/cpp");

    @TempDir
    Path folder;

    @Test
    void formatsAgreeWithNvidiasHeaders() throws Exception {
        Optional<Path> headers = headers();
        assumeTrue(headers.isPresent(), "no cuda_fp8.h below CUDA_HOME or /usr/local: no CUDA toolkit to compare with");

        Path program = folder.resolve("compare_formats");
        run("g++", "-std=c++17", "-O1", "-march=x86-64-v3", "-ffp-contract=off", "-I", "src/main/cuda",
                "-I", SOURCES.resolve("emulator").toString(), "-isystem", headers.get().toString(), "-o", program.toString(),
                SOURCES.resolve("toolkit/our_formats.cpp").toString(), SOURCES.resolve("toolkit/compare_formats.cpp").toString());

        assertThat(run(program.toString())).containsPattern("^[0-9]{7,} conversions are equal");
    }

    private static Optional<Path> headers() throws IOException {
        List<Path> candidates = new ArrayList<>();
        if (System.getenv("CUDA_HOME") != null) {
            candidates.add(Path.of(System.getenv("CUDA_HOME")));
        }
        try (Stream<Path> installed = Files.list(Path.of("/usr/local"))) {
            installed.filter(path -> path.getFileName().toString().startsWith("cuda")).sorted().forEach(candidates::add);
        }
        return candidates.stream().map(path -> path.resolve("include"))
                .filter(path -> Files.exists(path.resolve("cuda_fp8.h"))).findFirst();
    }

    private String run(String... command) throws IOException, InterruptedException {
        Path log = folder.resolve("log");
        Process process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
        boolean ended = process.waitFor(5, TimeUnit.MINUTES);
        if (!ended) {
            process.destroyForcibly();
        }
        String output = Files.readString(log);
        assertThat(ended && process.exitValue() == 0).as(String.join(" ", command) + "\n" + output).isTrue();
        return output;
    }
}
