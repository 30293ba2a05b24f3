package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.KernelCheck.Extent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/// The list of comparisons that a benchmark on a device runs first.
class KernelChecksTest {

    private static final int REPLAYS = 2;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    @Test
    void everySmallOneAndEveryReplayPassesInTheEmulator() {
        long seed = emulator.emulator().settings().seed();
        for (KernelCheck check : KernelChecks.all(REPLAYS)) {
            if (check.extent() != Extent.REAL) {
                check.run(emulator.kernels(), seed);
            }
        }
        // weights, activations, scratch: whatever was allocated is given back, and only the families stay loaded
        emulator.kernels().close();
        assertThat(emulator.device().openThings()).isZero();
    }

    @Test
    void everyFamilyOfKernelsIsComparedAtSmallAndAtRealSizes() throws IOException {
        Set<String> sources;
        try (Stream<Path> files = Files.list(Path.of("src/main/cuda"))) {
            sources = files.map(file -> file.getFileName().toString()).filter(name -> name.endsWith(".cu"))
                    .map(name -> name.substring(0, name.length() - 3)).collect(Collectors.toCollection(TreeSet::new));
        }
        // the attention kernels run behind it, and read nothing but what it wrote
        sources.remove("attention_plan");
        for (Extent extent : List.of(Extent.SMALL, Extent.REAL)) {
            assertThat(KernelChecks.all(REPLAYS).stream().filter(check -> check.extent() == extent).map(KernelCheck::family))
                    .as("%s", extent).containsAll(sources);
        }
    }

    @Test
    void noTwoHaveTheSameNameOrSeed() {
        List<KernelCheck> all = KernelChecks.all(REPLAYS);
        assertThat(all.stream().map(KernelCheck::toString)).doesNotHaveDuplicates();
        assertThat(all.stream().map(check -> check.seed(5))).doesNotHaveDuplicates();
        assertThat(all.getFirst().seed(5)).isNotEqualTo(all.getFirst().seed(6));
    }
}
