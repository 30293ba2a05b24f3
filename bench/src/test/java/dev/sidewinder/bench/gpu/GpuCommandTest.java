package dev.sidewinder.bench.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.bench.gpu.GpuBench.Part;
import java.util.Set;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

/// Which parts are done, so that time on a device goes to what was asked for.
class GpuCommandTest {

    private static Set<Part> parts(String... arguments) {
        return GpuCommand.commandLine().parseArgs(arguments).commandSpec().userObject() instanceof GpuCommand command
                ? command.parts() : Set.of();
    }

    @Test
    void doesWhatWasAskedForAndNothingElse() {
        assertThat(parts()).containsExactlyInAnyOrder(Part.CHECKS, Part.KERNELS, Part.STEPS, Part.PYTORCH);
        assertThat(parts("--recall", "models/tiny")).containsExactlyInAnyOrder(Part.values());
        assertThat(parts("--checks-only", "--minutes", "4")).containsExactly(Part.CHECKS);
        assertThat(parts("--kernels-only")).containsExactly(Part.KERNELS);
        assertThat(parts("--steps-only")).containsExactly(Part.STEPS);
        assertThat(parts("--pytorch-only")).containsExactly(Part.PYTORCH);
        assertThat(parts("--steps-only", "--recall", "models/tiny")).containsExactlyInAnyOrder(Part.STEPS, Part.RECALL);
        assertThat(parts("--recall", "models/tiny", "--recall-only")).containsExactly(Part.RECALL);
    }

    @Test
    void refusesWhatCannotBeMeant() {
        assertThatThrownBy(() -> parts("--recall-only")).hasMessageContaining("--recall-only needs --recall MODEL");
        assertThatThrownBy(() -> parts("--recall-only", "--steps-only", "--recall", "x"))
                .isInstanceOf(CommandLine.MutuallyExclusiveArgsException.class);
    }
}
