package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.Embedding.Table;
import dev.sidewinder.cuda.kernel.Embedding.TableType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class EmbeddingTest {

    /// Around one block's stride, with and without four at a time, and around the columns of one block.
    private static final int[] WIDTHS = {1, 3, 4, 5, 127, 128, 129, 508, 512, 516, 2688, 4095, 4096, 4097, 4100, 8196};

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    @ParameterizedTest
    @EnumSource
    void copiesRowsOfEveryWidth(TableType type) {
        EmbeddingCheck check = new EmbeddingCheck(emulator.device(), emulator.kernels());
        for (int width : WIDTHS) {
            for (int rows : new int[] {1, 9}) {
                check.check(new EmbeddingCheck.Case(type, rows, width, 7, 31L * width + rows));
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void copiesManyRowsOfSmallAndLargeVocabularies(TableType type) {
        EmbeddingCheck check = new EmbeddingCheck(emulator.device(), emulator.kernels());
        for (int vocabulary : new int[] {1, 2, 2560}) {
            check.check(new EmbeddingCheck.Case(type, 300, 12, vocabulary, vocabulary));
            check.check(new EmbeddingCheck.Case(type, 65, 13, vocabulary, vocabulary));
        }
    }

    @Test
    void refusesWhatCannotBeMeant() {
        Embedding embedding = new Embedding(emulator.kernels());
        assertThatThrownBy(() -> new Table(0, TableType.F32, 1, 1)).hasMessageContaining("1 rows of width 1 at 0x0");
        assertThatThrownBy(() -> new Table(256, TableType.F32, 0, 1)).hasMessageContaining("0 rows of width 1");
        Table table = new Table(0x1002, TableType.BF16, 10, 8);
        assertThatThrownBy(() -> embedding.lookUp(emulator.device().stream(), 0x2000, 0x3000, 1, table))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("table 0x1002 must be multiples");
        assertThatThrownBy(() -> embedding.lookUp(emulator.device().stream(), 0x2000, 0x3000, 0, table))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("embedding of 0 rows");
    }
}
