package dev.sidewinder.engine.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.model.synthetic.SyntheticModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What a decode step of the 30B model launches. `docs/performance-log.md` has the tables that this writes.
class StepCensusTest {

    private static final ModelConfig NANO = SyntheticModel.parse("synthetic:nano-30b").config();
    private static final Path TABLES = Path.of("target");
    private static final int CONTEXT = 1_536;

    /// The numbers are those of `docs/performance-log.md`: whoever changes them changes the page.
    @ParameterizedTest
    @CsvSource({"1, 165", "8, 195", "64, 218", "256, 264"})
    void aStepHasAsManyKernelsAsThePageSays(int rows, int kernels) throws IOException {
        StepCensus census = StepCensus.ofFp8(NANO, rows, CONTEXT, KvFormat.E4M3);
        Files.createDirectories(TABLES);
        Files.writeString(TABLES.resolve("step-census-" + rows + ".md"), census + "\n\n" + census.table());
        assertThat(census.lines()).hasSize(kernels);
    }

    @Test
    void everyKernelButTheFirstMayBeginBeforeItsPredecessorHasEnded() {
        for (int rows : new int[] {1, 8, 64, 256}) {
            var lines = StepCensus.ofFp8(NANO, rows, CONTEXT, KvFormat.BF16).lines();
            assertThat(lines.getFirst().launch().overlapping()).isFalse();
            assertThat(lines.subList(1, lines.size())).allMatch(line -> line.launch().overlapping());
        }
    }
}
