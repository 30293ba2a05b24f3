package dev.sidewinder.cuda.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.sidewinder.cuda.emulator.Emulator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A process loads one driver, so each test has a process of its own.
class DriverLoadingTest {

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
    void leavesNothingOfJcudaBehind() throws Exception {
        // given a temporary folder in which somebody has put a library under the name that JCuda would take
        Path planted = Files.writeString(temporary.resolve("libJCudaDriver-12.6.0-linux-x86_64.so"), "planted");

        // when a driver is opened
        assertThat(probe(Emulator.driver().toString())).singleElement().asString().startsWith("opened ");

        // then ours was loaded, and nothing else is in the folder
        try (Stream<Path> files = Files.list(temporary)) {
            assertThat(files).containsExactlyInAnyOrder(planted, temporary.resolve("output"));
        }
        assertThat(planted).hasContent("planted");
    }

    @Test
    void worksUnderTheJvmsChecksOfNativeCode() throws Exception {
        // With them a JNI library that copies into Java arrays sloppily brings back zeros: here the name of the device.
        assertThat(ChildProcess.run(temporary, Map.of("JDK_JAVA_OPTIONS", "-Xcheck:jni"), DriverLoadingProbe.class,
                Emulator.driver().toString())).contains("opened Sidewinder emulator");
    }

    @Test
    void namesTheDriverThatIsLoadedWhenAnotherIsAskedFor() throws Exception {
        String driver = Emulator.driver().toString();
        assertThat(probe(driver, "system", driver)).satisfiesExactly(
                first -> assertThat(first).startsWith("opened "),
                second -> assertThat(second).isEqualTo("unavailable: this process has loaded the driver " + driver
                        + " and cannot load libcuda.so.1 beside it; start another process"),
                third -> assertThat(third).startsWith("opened "));
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

    /// What a process prints which opens these drivers one after another. On a file that is no library the JVM prints
    /// something of its own.
    private List<String> probe(String... libraries) throws IOException, InterruptedException {
        return ChildProcess.run(temporary, Map.of(), DriverLoadingProbe.class, libraries).stream()
                .filter(line -> line.startsWith("opened ") || line.startsWith("unavailable: ")).toList();
    }
}
