package dev.sidewinder.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/// Rules that no compiler checks, read from the sources.
class SourceRulesTest {

    private static final Path JAVA = Path.of("src/main/java/dev/sidewinder/cuda");
    private static final Path CUDA = Path.of("src/main/cuda");
    private static final Pattern ASSEMBLER = Pattern.compile("\\b(asm|__asm__)\\b");
    private static final List<String> VOCABULARY = List.of("portable.cuh", "warpgroup.cuh");
    private static final Pattern DRIVER_CALL = Pattern.compile("(JCudaDriver\\s*\\.cu|JCublas2\\.cublas)[A-Z]\\w*\\(");
    private static final Pattern KERNEL = Pattern.compile("__global__");
    private static final Pattern BOUNDED_KERNEL = Pattern.compile("extern \"C\" __global__ __launch_bounds__\\(");
    private static final Pattern REGISTRATION = Pattern.compile("\\bKERNEL\\(");

    @Test
    void jcudaStaysInsideTheDevicePackage() throws IOException {
        for (Path file : files(JAVA, ".java")) {
            if (!file.startsWith(JAVA.resolve("device"))) {
                assertThat(Files.readString(file)).as(file.toString()).doesNotContain("jcuda");
            }
        }
    }

    /// JCuda throws nothing by itself: what a call returns is checked on the spot, or in the same method where one code is no failure.
    @Test
    void everyReturnCodeIsChecked() throws IOException {
        int calls = 0;
        for (Path file : files(JAVA.resolve("device"), ".java")) {
            String source = Files.readString(file).replaceAll("(?m)^\\s*//.*$", "");
            for (MatchResult call : DRIVER_CALL.matcher(source).results().toList()) {
                calls++;
                String before = source.substring(0, call.start());
                int statement = IntStream.of(before.lastIndexOf(';'), before.lastIndexOf('{'), before.lastIndexOf('}')).max().getAsInt();
                String taker = before.substring(statement + 1).strip();
                assertThat(taker).as("%s: what takes the code of %s", file, call.group())
                        .matches("(?s)(\\w+\\.)?(check|release|noteFailure)\\(.*|int code =");
                if (taker.equals("int code =")) {
                    String method = source.substring(call.end(), source.indexOf("\n    }\n", call.end()));
                    assertThat(method).as("%s: behind %s", file, call.group()).containsPattern("(check\\(.*, code|describe\\(code)\\)");
                }
            }
        }
        assertThat(calls).isGreaterThan(40);
    }

    @Test
    void noPublicMethodOfTheDevicePackageSpeaksOfJcuda() throws IOException {
        // A type of JCuda in a public signature would leak out of the package.
        Pattern signature = Pattern.compile("^    public [^;{=]*\\b(CU[a-z]\\w+|Pointer|JCuda\\w*)\\b", Pattern.MULTILINE);
        for (Path file : files(JAVA.resolve("device"), ".java")) {
            assertThat(signature.matcher(Files.readString(file)).find()).as(file.toString()).isFalse();
        }
    }

    @Test
    void theDevicePackageKnowsNoKernels() throws IOException {
        for (Path file : files(JAVA.resolve("device"), ".java")) {
            assertThat(Files.readString(file)).as(file.toString()).doesNotContain("dev.sidewinder.cuda.kernel");
        }
    }

    @Test
    void inlineAssemblerStandsOnlyInTheVocabulary() throws IOException {
        for (Path file : files(CUDA, ".cu", ".cuh")) {
            if (!VOCABULARY.contains(file.getFileName().toString())) {
                assertThat(ASSEMBLER.matcher(Files.readString(file)).find()).as(file.toString()).isFalse();
            }
        }
    }

    @Test
    void everyKernelIsBoundedAndRegistered() throws IOException {
        for (Path file : files(CUDA, ".cu")) {
            String source = Files.readString(file).replaceAll("(?m)^\\s*//.*$", "");
            int kernels = count(source, KERNEL);
            assertThat(kernels).as("kernels in %s", file).isPositive();
            assertThat(count(source, BOUNDED_KERNEL)).as("kernels with __launch_bounds__ in %s", file).isEqualTo(kernels);
            assertThat(count(source, REGISTRATION)).as("KERNEL(name); in %s", file).isEqualTo(kernels);
        }
    }

    private static int count(String source, Pattern pattern) {
        return (int) pattern.matcher(source).results().count();
    }

    private static List<Path> files(Path folder, String... endings) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            List<Path> found = files.filter(file -> Stream.of(endings).anyMatch(file.toString()::endsWith)).toList();
            assertThat(found).as("sources under %s", folder).isNotEmpty();
            return found;
        }
    }
}
