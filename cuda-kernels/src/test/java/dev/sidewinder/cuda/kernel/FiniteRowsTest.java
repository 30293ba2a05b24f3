package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FiniteRowsTest {

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private FiniteRowsCheck check() {
        return new FiniteRowsCheck(emulator.device(), emulator.kernels());
    }

    /// Around a value, four of them, and what a warp reads at a time in each form.
    @ParameterizedTest
    @ValueSource(ints = {1, 3, 4, 5, 31, 32, 33, 124, 127, 128, 129, 132, 256})
    void findsASpoiledValueAtAnyPlaceOfARow(int width) {
        for (int sequences : new int[] {1, 2, 7}) {
            for (int seed = 0; seed < 4; seed++) {
                check().check(new FiniteRowsCheck.Case(sequences, 9, width, 100L * width + seed));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 64, 65, 256})
    void namesTheSequenceOfARow(int sequences) {
        for (int mostRows : new int[] {1, 2, 40}) {
            check().check(new FiniteRowsCheck.Case(sequences, mostRows, 8, sequences));
        }
    }

    @Test
    void refusesWhatItCannotDo() {
        FiniteRows rows = new FiniteRows(emulator.kernels());
        assertThatThrownBy(() -> rows.find(emulator.device().stream(), 16, 16, 16, 3, 8, 4)).hasMessageContaining("3 rows of width 8 of 4");
        assertThatThrownBy(() -> rows.find(emulator.device().stream(), 16, 20, 16, 4, 8, 4)).hasMessageContaining("multiple of 16");
        assertThatThrownBy(() -> rows.find(emulator.device().stream(), 0, 16, 16, 4, 8, 4)).hasMessageContaining("for 0x0");
    }
}
