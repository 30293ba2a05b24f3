package dev.sidewinder.cuda.kernel;

import static dev.sidewinder.cuda.kernel.MambaShapes.DENSE;
import static dev.sidewinder.cuda.kernel.MambaShapes.GOLDEN;
import static dev.sidewinder.cuda.kernel.MambaShapes.NANO;
import static dev.sidewinder.cuda.kernel.MambaShapes.ODD;
import static dev.sidewinder.cuda.kernel.MambaShapes.QUARTER_NANO;
import static dev.sidewinder.cuda.kernel.MambaShapes.SMALL;
import static dev.sidewinder.cuda.kernel.MambaShapes.TINY;
import static dev.sidewinder.cuda.kernel.SsdChunkScanCheck.CHOSEN;
import static dev.sidewinder.cuda.kernel.SsdChunkScanCheck.PLAIN;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.SsdChunkScan.Form;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class SsdChunkScanTest {

    private static final long SEED = 20261122;
    /// The error of the products over that of rounding x, B and C. Measured: 0.95 to 1.0 for SINGLE, 1.3 to 1.7 for PAIR,
    /// where the approximate exponential adds its part.
    private static final double LARGEST_ERROR_RATIO = 2;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private SsdChunkScanCheck check;

    @BeforeEach
    void open() {
        check = new SsdChunkScanCheck(emulator.device(), emulator.kernels());
    }

    @Test
    void everyLengthFromOneTokenToPastTwoGridSteps() {
        for (Form form : Form.values()) {
            for (int first = 1; first <= 257; first += 33) {
                int[] lengths = IntStream.range(first, Math.min(258, first + 33)).toArray();
                check.check(new SsdChunkScanCheck.Case(SMALL, form, CHOSEN, lengths, SEED + first));
            }
        }
    }

    @Test
    void everySizeOfBlockAndBothForms() {
        int[] lengths = {1, 64, 0, 127, 193};
        for (MambaShape shape : new MambaShape[] {TINY, QUARTER_NANO}) {
            for (Form form : Form.values()) {
                for (int rows : new SsdChunkScan(emulator.kernels(), shape, form).blockRows()) {
                    check.check(new SsdChunkScanCheck.Case(shape, form, rows, lengths, SEED));
                }
            }
        }
    }

    @Test
    void oddShapesTakeThePlainPath() {
        int[] lengths = {1, 2, 127, 128, 129, 0, 257};
        for (MambaShape shape : new MambaShape[] {GOLDEN, ODD}) {
            for (Form form : Form.values()) {
                check.check(new SsdChunkScanCheck.Case(shape, form, CHOSEN, lengths, SEED));
            }
        }
        check.check(new SsdChunkScanCheck.Case(SMALL, Form.PAIR, PLAIN, lengths, SEED));
    }

    @Test
    void theErrorIsAboutThatOfRoundingTheInputs() {
        for (Form form : Form.values()) {
            for (MambaShape shape : new MambaShape[] {TINY, QUARTER_NANO}) {
                SsdChunkScanCheck.Result result =
                        check.check(new SsdChunkScanCheck.Case(shape, form, CHOSEN, new int[] {130, 70}, SEED));
                double ratio = result.error() / result.inputError().getAsDouble();
                assertThat(ratio).as("%s of %s", form, shape).isLessThan(LARGEST_ERROR_RATIO);
            }
        }
    }

    @Test
    void headsOf80Rows() {
        for (Form form : Form.values()) {
            check.check(new SsdChunkScanCheck.Case(DENSE, form, CHOSEN, new int[] {1, 130}, SEED));
        }
    }

    @Test
    void theRealShape() {
        check.check(new SsdChunkScanCheck.Case(NANO, Form.SINGLE, CHOSEN, new int[] {70}, SEED));
        check.check(new SsdChunkScanCheck.Case(NANO, Form.PAIR, CHOSEN, new int[] {70}, SEED));
    }

    @Test
    void cutsOnTheGridAndSizesOfBlocksChangeNoBit() {
        int[] lengths = {1, 400, 129, 640, 256, 3};
        Random random = new Random(SEED);
        for (Form form : Form.values()) {
            MambaShape shape = new MambaShape(2, 64, 1, 64, 4);
            SsdChunkScanCheck.Case whole = new SsdChunkScanCheck.Case(shape, form, 16, lengths, SEED);
            SsdChunkScanCheck.Result expected = check.check(whole);
            for (int rows : new SsdChunkScan(emulator.kernels(), shape, form).blockRows()) {
                SsdChunkScanCheck.Case cut = new SsdChunkScanCheck.Case(shape, form, rows, lengths, SEED);
                SsdChunkScanCheck.Result found = check.run(cut, GridCuts.random(lengths, random));
                for (int s = 0; s < lengths.length; s++) {
                    Closeness.checkSameBits("sequence " + s, found.y()[s], expected.y()[s]);
                    Closeness.checkSameBits("state " + s, found.states()[s], expected.states()[s]);
                }
                checkSameKept(found, expected);
            }
        }
    }

    /// A state written on the way is the one that a piece ending there leaves.
    @Test
    void whatIsKeptOnTheWayIsWhatAPieceThatEndsThereLeaves() {
        int[] lengths = {640, 129, 513, 256};
        int[][] everyBlock = {{128, 128, 128, 128}, {256, 129, 256, 256}, {384, 129, 384, 256}, {512, 129, 512, 256}, lengths};
        for (Form form : Form.values()) {
            for (MambaShape shape : new MambaShape[] {new MambaShape(2, 64, 1, 64, 4), GOLDEN}) {
                SsdChunkScanCheck.Case c = new SsdChunkScanCheck.Case(shape, form, CHOSEN, lengths, SEED);
                SsdChunkScanCheck.Result onTheWay = check.check(c);
                assertThat(onTheWay.kept().length).isGreaterThan(5);
                checkSameKept(onTheWay, check.run(c, everyBlock));
            }
        }
    }

    private static void checkSameKept(SsdChunkScanCheck.Result found, SsdChunkScanCheck.Result expected) {
        assertThat(found.kept()).hasDimensions(expected.kept().length, expected.kept()[0].length);
        for (int i = 0; i < expected.kept().length; i++) {
            Closeness.checkSameBits("kept state " + i, found.kept()[i], expected.kept()[i]);
        }
    }

    @Test
    void cutsChangeNoBitOfThePlainPath() {
        int[] lengths = {300, 129};
        SsdChunkScanCheck.Case plain = new SsdChunkScanCheck.Case(GOLDEN, Form.PAIR, CHOSEN, lengths, SEED);
        SsdChunkScanCheck.Result expected = check.check(plain);
        SsdChunkScanCheck.Result found = check.run(plain, new int[][] {{128, 128}, {256, 129}, {300, 129}});
        for (int s = 0; s < lengths.length; s++) {
            Closeness.checkSameBits("sequence " + s, found.y()[s], expected.y()[s]);
            Closeness.checkSameBits("state " + s, found.states()[s], expected.states()[s]);
        }
    }
}
