package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class KernelReportTest {

    /// Kernels that may keep something in local memory, each with its reason. Every other kernel counts as hot.
    private static final Map<String, String> NOT_HOT = Map.of();

    /// What each kernel is compiled for; the same as in `build-kernels.sh`.
    private static final Set<String> ARCHITECTURES = Set.of("sm_80", "sm_89", "sm_90a");

    /// The bound of the architecture: at it the compiler spills.
    private static final int MOST_REGISTERS = 255;
    /// What a kernel may declare statically; more must be dynamic.
    private static final int MOST_STATIC_SHARED_BYTES = 48 << 10;

    private static final Path SOURCES = Path.of("src/main/cuda");

    @Test
    void noHotKernelSpillsOrUsesLocalMemory() {
        for (KernelReport.Row row : packaged().rows()) {
            if (!NOT_HOT.containsKey(row.kernel())) {
                assertThat(row.spills()).as("spills of %s", row).isFalse();
                assertThat(row.stackBytes()).as("local memory of %s", row).isZero();
            }
        }
    }

    @Test
    void everyKernelStaysWithinTheLimitsOfTheArchitecture() {
        for (KernelReport.Row row : packaged().rows()) {
            assertThat(row.registers()).as("registers of %s", row).isBetween(1, MOST_REGISTERS);
            assertThat(row.staticSharedBytes()).as("static shared memory of %s", row)
                    .isLessThanOrEqualTo(MOST_STATIC_SHARED_BYTES);
        }
    }

    /// Three warpgroups begin with what their block has, 65,536 registers, and share it out anew (setmaxnreg).
    @Test
    void theKernelsForWarpgroupsFitTheRegistersOfAMultiprocessor() {
        assertThat(packaged().rows()).filteredOn(row -> row.family().startsWith("sm90_") && !row.kernel().contains("gather"))
                .isNotEmpty().allSatisfy(row -> assertThat(row.registers() * 384).as(row.toString()).isLessThanOrEqualTo(65_536));
    }

    @Test
    void everyFamilyIsPackedForEveryArchitecture() throws IOException {
        KernelReport report = packaged();
        Map<String, Set<String>> architectures = report.rows().stream().collect(Collectors.groupingBy(
                row -> row.family() + "/" + row.kernel(),
                Collectors.mapping(KernelReport.Row::architecture, Collectors.toSet())));
        assertThat(architectures).isNotEmpty().allSatisfy((kernel, found) ->
                assertThat(found).as(kernel).isEqualTo(ARCHITECTURES));

        Set<String> families = new TreeSet<>();
        report.rows().forEach(row -> families.add(row.family()));
        assertThat(families).isEqualTo(sourceFamilies());

        KernelImages images = KernelImages.packaged();
        for (String family : families) {
            assertThat(images.of(family)).as(family).hasSizeGreaterThan(1000);
        }
        assertThatThrownBy(() -> images.of("no_such_family"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("this build has no kernel family no_such_family");
    }

    @Test
    void everyExceptionFromTheRuleNamesAKernelThatExists() {
        Set<String> kernels = packaged().rows().stream().map(KernelReport.Row::kernel).collect(Collectors.toSet());
        assertThat(kernels).containsAll(NOT_HOT.keySet());
    }

    @Test
    void readsWhatTheBuildWrites() {
        KernelReport report = KernelReport.parse(KernelReport.HEADER + "\nsample,sample_greedy,sm_90a,40,4,8,16,1024\n");
        assertThat(report.rows()).isEqualTo(List.of(
                new KernelReport.Row("sample", "sample_greedy", "sm_90a", 40, 4, 8, 16, 1024)));
        assertThat(report.rows().getFirst().spills()).isTrue();
    }

    @Test
    void refusesAReportOfAnotherForm() {
        assertThatThrownBy(() -> KernelReport.parse("kernel,registers\n"))
                .hasMessageContaining("begins with \"kernel,registers\"");
        assertThatThrownBy(() -> KernelReport.parse(KernelReport.HEADER + "\na,b,c\n"))
                .hasMessageContaining("a line of 3 cells, not 8: a,b,c");
    }

    private static KernelReport packaged() {
        assumeTrue(KernelReport.packaged().isPresent(), "this build has no CUDA kernels: nvcc was not found");
        return KernelReport.packaged().orElseThrow();
    }

    private static Set<String> sourceFamilies() throws IOException {
        try (Stream<Path> files = Files.list(SOURCES)) {
            return files.map(file -> file.getFileName().toString()).filter(name -> name.endsWith(".cu"))
                    .map(name -> name.substring(0, name.length() - 3)).collect(Collectors.toCollection(TreeSet::new));
        }
    }
}
