package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What the compiler made of the kernels for warpgroups: products of the tensor cores and copies of the copy engine, and
/// nothing in local memory. Needs `cuobjdump` of a CUDA toolkit (in `PATH` or `CUDA_HOME`) beside nvcc. By hand:
///
///     cuobjdump --dump-sass -arch sm_90a sm90_linear.fatbin | grep -E 'Function|GMMA|UTMALDG|LDL|STL'
class MachineCodeTest {

    private static final Pattern FUNCTION = Pattern.compile("Function : (\\w+)");

    @TempDir
    Path folder;

    @Test
    void promptsAreMultipliedByWarpgroups() throws Exception {
        for (String family : new String[] {"sm90_linear", "sm90_moe_experts"}) {
            Map<String, String> functions = disassembled(family);
            assertThat(functions).isNotEmpty();
            functions.forEach((name, code) -> {
                assertThat(code).as(name).doesNotContain("LDL").doesNotContain("STL");
                if (!name.contains("gather")) {
                    assertThat(code).as(name).contains(name.endsWith("e4m3") ? "QGMMA.64x" : "HGMMA.64x").contains("UTMALDG.3D")
                            .contains("USETMAXREG").doesNotContain("HMMA");
                }
            });
        }
    }

    /// Two products of eight instructions each for every block of tokens, and again for the first and the last one. The softmax, 64
    /// exponentials and more, is taken between the wait that leaves the second product under way and the one for that product.
    @Test
    void promptsAttendByWarpgroups() throws Exception {
        Map<String, String> functions = disassembled("sm90_paged_attention_prompt");
        assertThat(functions).hasSize(2);
        functions.forEach((name, code) -> {
            assertThat(code).as(name).doesNotContain("LDL").doesNotContain("STL").contains("USETMAXREG");
            int first = code.indexOf("WARPGROUP.DEPBAR.LE gsb0, 0x1");
            assertThat(first).as(name).isPositive();
            String beside = code.substring(first, code.indexOf("WARPGROUP.DEPBAR.LE gsb0, 0x0", first));
            assertThat(Pattern.compile("MUFU\\.EX2").matcher(beside).results().count()).as(name).isGreaterThanOrEqualTo(64);
            assertThat(Pattern.compile("HGMMA\\.64x128x16").matcher(code).results().count()).as(name).isEqualTo(32);
            assertThat(Pattern.compile("HGMMA\\.64x128x16[^;]*tnspB").matcher(code).results().count()).as(name).isEqualTo(16);
            assertThat(code.replace("HGMMA", "")).as(name).doesNotContain("HMMA");
        });
    }

    private Map<String, String> disassembled(String family) throws IOException, InterruptedException {
        assumeTrue(KernelReport.packaged().isPresent(), "this build has no CUDA kernels: nvcc was not found");
        Optional<Path> tool = tool();
        assumeTrue(tool.isPresent(), "there is no cuobjdump in PATH or CUDA_HOME");
        Path image = folder.resolve(family + ".fatbin");
        Files.write(image, KernelImages.packaged().of(family));
        Path listing = folder.resolve(family + ".sass");
        Process process = new ProcessBuilder(tool.get().toString(), "--dump-sass", "-arch", "sm_90a", image.toString())
                .redirectErrorStream(true).redirectOutput(listing.toFile()).start();
        assertThat(process.waitFor()).as("cuobjdump of %s", image).isZero();
        String text = Files.readString(listing, StandardCharsets.UTF_8);
        Map<String, String> functions = new LinkedHashMap<>();
        Matcher function = FUNCTION.matcher(text);
        String name = null;
        int from = 0;
        while (function.find()) {
            if (name != null) {
                functions.put(name, text.substring(from, function.start()));
            }
            name = function.group(1);
            from = function.end();
        }
        if (name != null) {
            functions.put(name, text.substring(from));
        }
        return functions;
    }

    private static Optional<Path> tool() {
        Stream<String> path = Stream.of(System.getenv().getOrDefault("PATH", "").split(":"));
        Stream<String> toolkits = Stream.of(System.getenv().getOrDefault("CUDA_HOME", "/usr/local/cuda") + "/bin");
        return Stream.concat(path, toolkits).filter(name -> !name.isEmpty()).map(name -> Path.of(name, "cuobjdump"))
                .filter(Files::isExecutable).findFirst();
    }
}
