package dev.sidewinder.cuda.kernel;

import static dev.sidewinder.cuda.kernel.MambaShapes.GOLDEN;
import static dev.sidewinder.cuda.kernel.MambaShapes.MANY_TAPS;
import static dev.sidewinder.cuda.kernel.MambaShapes.NANO;
import static dev.sidewinder.cuda.kernel.MambaShapes.ODD;
import static dev.sidewinder.cuda.kernel.MambaShapes.SMALL;
import static dev.sidewinder.cuda.kernel.MambaShapes.TINY;
import static dev.sidewinder.cuda.kernel.MambaShapes.TWO_TAPS;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class CausalConvTest {

    private static final long SEED = 20261122;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private CausalConvCheck check;

    @BeforeEach
    void open() {
        check = new CausalConvCheck(emulator.device(), emulator.kernels());
    }

    @Test
    void everyLengthFromOneTokenToPastTwoGridSteps() {
        // in batches of up to 37 sequences, more than a warp looks at together
        for (int first = 1; first <= 257; first += 37) {
            int[] lengths = IntStream.range(first, Math.min(258, first + 37)).toArray();
            check.check(new CausalConvCheck.Case(SMALL, FloatFormat.F32, true, true, 0, lengths, SEED + first));
        }
    }

    @Test
    void everyFormAtTheSizesOfTheTinyModel() {
        int[] lengths = {1, 2, 3, 4, 0, 127, 128, 129, 15, 16, 17, 255, 256, 257};
        for (FloatFormat format : FloatFormat.values()) {
            for (boolean low : new boolean[] {false, true}) {
                check.check(new CausalConvCheck.Case(TINY, format, low, low, 0, lengths, SEED));
            }
        }
    }

    @Test
    void oddShapesTakeThePlainPath() {
        int[] lengths = {1, 2, 3, 5, 62, 63, 64, 65, 127, 128, 129};
        for (MambaShape shape : new MambaShape[] {GOLDEN, ODD, TWO_TAPS, MANY_TAPS}) {
            for (FloatFormat format : FloatFormat.values()) {
                check.check(new CausalConvCheck.Case(shape, format, true, true, 0, lengths, SEED));
            }
        }
    }

    @Test
    void theRealShape() {
        check.check(new CausalConvCheck.Case(NANO, FloatFormat.BF16, false, true, 0, new int[] {1, 133}, SEED));
    }

    @Test
    void moreRowsThanTheLongTileBeginsAt() {
        check.check(new CausalConvCheck.Case(SMALL, FloatFormat.F32, true, true, 0, new int[] {1030, 2, 900}, SEED));
    }

    @Test
    void cutsOnTheGridAndTilesChangeNoBit() {
        int[] lengths = {1, 400, 129, 777, 256, 3};
        Random random = new Random(SEED);
        for (MambaShape shape : new MambaShape[] {SMALL, ODD}) {
            CausalConvCheck.Case whole = new CausalConvCheck.Case(shape, FloatFormat.F32, true, true, 128, lengths, SEED);
            CausalConvCheck.Result expected = check.run(whole, new int[][] {lengths});
            for (int tileRows : new int[] {16, 32}) {
                CausalConvCheck.Case cut = new CausalConvCheck.Case(shape, FloatFormat.F32, true, true, tileRows, lengths, SEED);
                CausalConvCheck.Result found = check.run(cut, GridCuts.random(lengths, random));
                for (int s = 0; s < lengths.length; s++) {
                    Closeness.checkSameBits("sequence " + s, found.values()[s], expected.values()[s]);
                    Closeness.checkSameBits("time steps " + s, found.timeSteps()[s], expected.timeSteps()[s]);
                    Closeness.checkSameBits("state " + s, found.histories()[s], expected.histories()[s]);
                }
                for (int i = 0; i < expected.kept().length; i++) {
                    Closeness.checkSameBits("kept state " + i, found.kept()[i], expected.kept()[i]);
                }
            }
        }
    }
}
