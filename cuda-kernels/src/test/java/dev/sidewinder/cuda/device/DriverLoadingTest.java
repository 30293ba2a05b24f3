package dev.sidewinder.cuda.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A process loads one driver, so each test has a process of its own.
class DriverLoadingTest {

    private static final long LONGEST_SECONDS = 60;

    @TempDir
    Path temporary;

    @Test
    void saysInOneSentenceThatALibraryIsNotThere() throws Exception {
        assertThat(probe("/no/such/libcuda.so.1")).containsExactly("unavailable: the driver library /no/such/libcuda.so.1 "
                + "does not load; check that the file is there and is for this system");
    }

    @Test
    void saysInOneSentenceThatAFileIsNoLibrary() throws Exception {
        Path file = Files.writeString(temporary.resolve("libcuda.so.1"), "no library");
        assertThat(probe(file.toString())).containsExactly("unavailable: the driver library " + file
                + " does not load; check that the file is there and is for this system");
    }

    @Test
    void saysWhatALibraryLacksThatIsNoDriver() throws Exception {
        // libnet is a library of every JDK, and of no driver
        String library = Path.of(System.getProperty("java.home"), "lib", "libnet.so").toString();
        assertThat(probe(library)).containsExactly("unavailable: the driver " + library
                + " has no cuInit; a driver for CUDA 12.0 or later (525 or later) is needed");
    }

    @Test
    void triesAgainAfterALibraryThatDidNotLoad() throws Exception {
        assertThat(probe("/no/such/libcuda.so.1", "/no/other/libcuda.so.1")).satisfiesExactly(
                first -> assertThat(first).contains("/no/such/"),
                second -> assertThat(second).contains("/no/other/"));
    }

    @Test
    void saysThatTheSystemHasNoDriver() throws Exception {
        assumeFalse(hasSystemDriver(), "this system has a driver");
        assertThat(probe("system"))
                .containsExactly("unavailable: there is no libcuda.so.1 here; install the NVIDIA driver, or use the CPU");
    }

    private static boolean hasSystemDriver() {
        return List.of("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/local/nvidia/lib64")
                .stream().anyMatch(folder -> Files.exists(Path.of(folder, "libcuda.so.1")));
    }

    /// The lines that a process prints which opens these drivers one after another. It must end by itself, with status 0.
    private List<String> probe(String... libraries) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-cp", System.getProperty("java.class.path"),
                DriverLoadingProbe.class.getName()));
        command.addAll(List.of(libraries));
        Path output = temporary.resolve("output");
        Process process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile()).start();
        try {
            assertThat(process.waitFor(LONGEST_SECONDS, TimeUnit.SECONDS)).as("the process ended").isTrue();
        } finally {
            process.destroyForcibly();
        }
        String text = Files.readString(output, StandardCharsets.UTF_8);
        assertThat(process.exitValue()).as(text).isZero();
        // The JVM has its own opinion about a file that is no library.
        return text.lines().filter(line -> line.startsWith("opened ") || line.startsWith("unavailable: ")).toList();
    }
}
