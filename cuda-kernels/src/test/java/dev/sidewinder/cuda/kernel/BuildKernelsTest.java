package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Runs `build-kernels.sh` with a compiler that only pretends: it copies the source, takes each word of it that ends in .cuh
/// for a header that it read, prints what ptxas prints, and keeps a list of what it was asked for.
class BuildKernelsTest {

    private static final Path SCRIPT = Path.of("src/main/cuda/build-kernels.sh").toAbsolutePath();
    private static final List<String> TOOLS = List.of("sh", "awk", "basename", "cat", "cmp", "cp", "find", "grep", "ls",
            "mkdir", "mv", "rm", "sed", "tail", "touch", "wc", "xargs");
    private static final List<String> HEADERS = List.of("common.cuh", "cache.cuh");
    private static final String COMPILER = """
            #!/bin/sh
            if [ "$1" = --version ]; then
                echo "Build pretended"
                exit 0
            fi
            for argument; do
                [ "$previous" != -o ] || output=$argument
                [ "$previous" != -MF ] || needs=$argument
                previous=$argument
            done
            echo "$previous" >>"$ASKED"
            if grep -q BROKEN "$previous"; then
                echo "$previous(1): error: BROKEN is undefined" >&2
                exit 2
            fi
            cp "$previous" "$output"
            {
                echo "$output : $previous" '\\'
                for word in $(cat "$previous"); do
                    case $word in
                        *.cuh) echo "    ${previous%/*}/$word" '\\' ;;
                    esac
                done
            } >"$needs"
            cat >&2 <<'TEXT'
            ptxas info    : 0 bytes gmem
            ptxas info    : Compiling entry function 'some_kernel' for 'sm_80'
            ptxas info    : Function properties for some_kernel
                0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
            ptxas info    : Used 40 registers, used 1 barriers, 32 bytes smem, 400 bytes cmem[0]
            ptxas info    : Compiling entry function 'some_kernel' for 'sm_90a'
            ptxas info    : Function properties for some_kernel
                24 bytes stack frame, 8 bytes spill stores, 16 bytes spill loads
            ptxas info    : Used 255 registers, used 0 barriers
            TEXT
            """;

    @TempDir
    Path folder;

    private Path sources;
    private Path output;
    private Path work;
    private Path tools;

    @BeforeEach
    void makeSources() throws IOException {
        sources = Files.createDirectory(folder.resolve("sources"));
        output = folder.resolve("output");
        work = folder.resolve("work");
        tools = Files.createDirectory(folder.resolve("tools"));
        for (String tool : TOOLS) {
            Path found = Stream.of("/usr/bin", "/bin").map(place -> Path.of(place, tool)).filter(Files::exists).findFirst()
                    .orElseThrow(() -> new AssertionError("this system has no " + tool));
            Files.createSymbolicLink(tools.resolve(tool), found);
        }
        Files.writeString(sources.resolve("norm.cu"), "norm common.cuh");
        Files.writeString(sources.resolve("attention.cu"), "attention, the larger one: common.cuh cache.cuh");
        for (String header : HEADERS) {
            Files.writeString(sources.resolve(header), "a header");
        }
    }

    /// JUnit would warn of each link when it deletes the folder.
    @AfterEach
    void removeLinks() throws IOException {
        for (String tool : TOOLS) {
            Files.delete(tools.resolve(tool));
        }
    }

    private record Outcome(int status, String text) {}

    private Outcome build() throws Exception {
        return build("false");
    }

    private Outcome build(String skip) throws Exception {
        ProcessBuilder builder = new ProcessBuilder("sh", SCRIPT.toString(), sources.toString(), output.toString(),
                work.toString(), skip).redirectErrorStream(true).redirectOutput(folder.resolve("text").toFile());
        builder.environment().keySet().removeIf(name -> name.startsWith("SIDEWINDER_CUDA_") || name.equals("CUDA_HOME"));
        builder.environment().putAll(Map.of("PATH", tools.toString(), "ASKED", folder.resolve("asked").toString(),
                "SIDEWINDER_CUDA_FOLDER", folder.resolve("no-cuda").toString()));
        Process process = builder.start();
        assertThat(process.waitFor(300, TimeUnit.SECONDS)).as("the script ended").isTrue();
        return new Outcome(process.exitValue(), Files.readString(folder.resolve("text")));
    }

    private void installCompiler() throws IOException {
        Path compiler = Files.writeString(tools.resolve("nvcc"), COMPILER);
        assertThat(compiler.toFile().setExecutable(true)).isTrue();
    }

    /// The families that were compiled since this was last asked.
    private List<String> compiled() throws IOException {
        Path asked = folder.resolve("asked");
        List<String> lines = Files.exists(asked) ? Files.readAllLines(asked) : List.of();
        Files.deleteIfExists(asked);
        return lines.stream().map(line -> Path.of(line).getFileName().toString()).sorted().toList();
    }

    /// As if it had been written after everything that was built so far.
    private void touch(String source) throws IOException {
        Files.setLastModifiedTime(sources.resolve(source), FileTime.from(Instant.now().plusSeconds(2)));
    }

    /// As if it had been written long ago.
    private void age(String... names) throws IOException {
        for (String name : names) {
            Files.setLastModifiedTime(sources.resolve(name), FileTime.from(Instant.now().minusSeconds(1000)));
        }
    }

    @Test
    void saysInOneLineThatThereIsNoCompilerAndLeavesNothingOld() throws Exception {
        Files.createDirectories(output);
        Files.writeString(output.resolve("norm.fatbin"), "old");
        Files.writeString(output.resolve("kernel-resources.csv"), "old");
        assertThat(build()).isEqualTo(new Outcome(0,
                "no nvcc in PATH, CUDA_HOME or /usr/local/cuda: this build has no CUDA kernels\n"));
        assertThat(output).isEmptyDirectory();
    }

    @Test
    void compilesEveryFamilyAndReportsItsResources() throws Exception {
        installCompiler();
        assertThat(build().status()).isZero();
        assertThat(compiled()).containsExactly("attention.cu", "norm.cu");
        assertThat(output.resolve("norm.fatbin")).hasContent("norm common.cuh");
        KernelReport report = KernelReport.parse(Files.readString(output.resolve("kernel-resources.csv")));
        assertThat(report.rows()).containsExactly(
                new KernelReport.Row("attention", "some_kernel", "sm_80", 40, 0, 0, 0, 32),
                new KernelReport.Row("attention", "some_kernel", "sm_90a", 255, 8, 16, 24, 0),
                new KernelReport.Row("norm", "some_kernel", "sm_80", 40, 0, 0, 0, 32),
                new KernelReport.Row("norm", "some_kernel", "sm_90a", 255, 8, 16, 24, 0));
    }

    @Test
    void compilesAgainWhatChangedAndNothingElse() throws Exception {
        installCompiler();
        age("norm.cu", "attention.cu", "common.cuh", "cache.cuh");
        build();
        assertThat(compiled()).hasSize(2);

        assertThat(build()).isEqualTo(new Outcome(0, ""));
        assertThat(compiled()).isEmpty();

        touch("norm.cu");
        assertThat(build().text()).contains("1 of 2 families");
        assertThat(compiled()).containsExactly("norm.cu");

        age("norm.cu");
        touch("common.cuh");
        build();
        assertThat(compiled()).as("both read this header").containsExactly("attention.cu", "norm.cu");

        age("common.cuh");
        touch("cache.cuh");
        assertThat(build().text()).contains("1 of 2 families");
        assertThat(compiled()).as("one reads this header").containsExactly("attention.cu");
    }

    @Test
    void compilesAgainWhenAHeaderIsGoneAndForAnyHeaderWhenWhatWasReadIsUnknown() throws Exception {
        installCompiler();
        age("norm.cu", "attention.cu", "common.cuh", "cache.cuh");
        build();
        compiled();

        // an include that nvcc no longer finds is for nvcc to complain of, not for this script to pass over
        Files.delete(sources.resolve("cache.cuh"));
        build();
        assertThat(compiled()).containsExactly("attention.cu");

        Files.delete(work.resolve("norm.needs"));
        Files.writeString(sources.resolve("cache.cuh"), "a header");
        touch("cache.cuh");
        build();
        assertThat(compiled()).containsExactly("attention.cu", "norm.cu");
    }

    @Test
    void readsListsOfFilesWithSpacesInTheirNames() throws Exception {
        installCompiler();
        age("norm.cu", "attention.cu", "common.cuh", "cache.cuh");
        build();
        compiled();
        Path header = Files.writeString(folder.resolve("two words.cuh"), "a header");
        Files.setLastModifiedTime(header, FileTime.from(Instant.now().minusSeconds(1000)));
        String escaped = header.toString().replace(" ", "\\ ");
        Files.writeString(work.resolve("norm.needs"), "norm.new : " + sources.resolve("norm.cu") + " \\\n " + escaped + "\n");
        assertThat(build()).isEqualTo(new Outcome(0, ""));

        Files.setLastModifiedTime(header, FileTime.from(Instant.now().plusSeconds(2)));
        build();
        assertThat(compiled()).containsExactly("norm.cu");
    }

    @Test
    void packsNothingWhenItIsToSkipAndForgetsNothing() throws Exception {
        installCompiler();
        age("norm.cu", "attention.cu", "common.cuh", "cache.cuh");
        build();
        compiled();
        assertThat(build("true")).isEqualTo(new Outcome(0, "kernels.skip is set: this build has no CUDA kernels\n"));
        assertThat(output).isEmptyDirectory();
        assertThat(build()).isEqualTo(new Outcome(0, ""));
        assertThat(compiled()).isEmpty();
        assertThat(output.resolve("norm.fatbin")).hasContent("norm common.cuh");
        assertThat(output.resolve("kernel-resources.csv")).exists();
    }

    @Test
    void removesAFamilyWhoseSourceIsGone() throws Exception {
        installCompiler();
        build();
        Files.delete(sources.resolve("norm.cu"));
        build();
        assertThat(output.resolve("norm.fatbin")).doesNotExist();
        assertThat(output.resolve("attention.fatbin")).exists();
        assertThat(Files.readString(output.resolve("kernel-resources.csv"))).doesNotContain("norm,").contains("attention,");
    }

    @Test
    void compilesEverythingAgainWithAnotherCompiler() throws Exception {
        installCompiler();
        age("norm.cu", "attention.cu", "common.cuh", "cache.cuh");
        build();
        compiled();
        Files.writeString(tools.resolve("nvcc"), COMPILER.replace("Build pretended", "Build of another day"));
        build();
        assertThat(compiled()).containsExactly("attention.cu", "norm.cu");
    }

    @Test
    void failsWithTheCompilersWordsAndTriesAgainNextTime() throws Exception {
        installCompiler();
        Files.writeString(sources.resolve("norm.cu"), "BROKEN");
        Outcome failed = build();
        assertThat(failed.status()).isNotZero();
        assertThat(failed.text()).contains("norm.cu(1): error: BROKEN is undefined")
                .contains("a kernel family does not compile; see above");
        assertThat(output.resolve("norm.fatbin")).doesNotExist();
        compiled();

        Files.writeString(sources.resolve("norm.cu"), "norm");
        assertThat(build().status()).isZero();
        assertThat(compiled()).containsExactly("norm.cu");
        assertThat(output.resolve("norm.fatbin")).hasContent("norm");
    }

    @Test
    void namesAFolderWithoutKernels() throws Exception {
        installCompiler();
        Files.delete(sources.resolve("norm.cu"));
        Files.delete(sources.resolve("attention.cu"));
        Outcome failed = build();
        assertThat(failed.status()).isNotZero();
        assertThat(failed.text()).contains("no .cu files in " + sources);
    }
}
