package dev.sidewinder.cuda.kernel;

import static dev.sidewinder.cuda.kernel.MambaShapes.DENSE;
import static dev.sidewinder.cuda.kernel.MambaShapes.GOLDEN;
import static dev.sidewinder.cuda.kernel.MambaShapes.MANY_TAPS;
import static dev.sidewinder.cuda.kernel.MambaShapes.NANO;
import static dev.sidewinder.cuda.kernel.MambaShapes.ODD;
import static dev.sidewinder.cuda.kernel.MambaShapes.QUARTER_NANO;
import static dev.sidewinder.cuda.kernel.MambaShapes.TINY;
import static dev.sidewinder.cuda.kernel.MambaShapes.TWO_TAPS;
import static dev.sidewinder.cuda.kernel.SelectiveStateUpdateCheck.CHOSEN;
import static dev.sidewinder.cuda.kernel.SelectiveStateUpdateCheck.PLAIN;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.GatedNormCheck.Target;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class SelectiveStateUpdateTest {

    private static final long SEED = 20261122;
    /// Sequences out of order, with padded rows first, between and last.
    private static final int[] BATCH = {-1, 3, 0, -1, 2, 1, 4, -1};

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private SelectiveStateUpdateCheck check;

    @BeforeEach
    void open() {
        check = new SelectiveStateUpdateCheck(emulator.device(), emulator.kernels());
    }

    private static SelectiveStateUpdateCheck.Case of(MambaShape shape, FloatFormat format, Target target, int blockRows,
            int[] rows, int steps) {
        return new SelectiveStateUpdateCheck.Case(shape, format, target, target != Target.BF16, blockRows, rows, steps, SEED);
    }

    @Test
    void everyFormOfInputAndOutput() {
        for (FloatFormat format : FloatFormat.values()) {
            for (Target target : Target.values()) {
                check.check(of(TINY, format, target, CHOSEN, BATCH, 3));
            }
        }
    }

    @Test
    void everySizeOfBlock() {
        for (MambaShape shape : new MambaShape[] {TINY, QUARTER_NANO, DENSE}) {
            SelectiveStateUpdate launcher = new SelectiveStateUpdate(emulator.kernels(), shape, 1e-5f);
            for (int rows : launcher.blockRows()) {
                for (FloatFormat format : FloatFormat.values()) {
                    check.check(of(shape, format, Target.PAIR, rows, BATCH, 2));
                }
            }
        }
    }

    @Test
    void oddShapesTakeThePlainPath() {
        for (MambaShape shape : new MambaShape[] {GOLDEN, ODD, TWO_TAPS, MANY_TAPS}) {
            for (FloatFormat format : FloatFormat.values()) {
                check.check(of(shape, format, Target.PAIR, CHOSEN, BATCH, 5));
            }
        }
        check.check(of(TINY, FloatFormat.F32, Target.PAIR, PLAIN, BATCH, 2));
    }

    @Test
    void theRealShapeAloneAndInSmallBatches() {
        for (int batch = 1; batch <= 3; batch++) {
            check.check(of(NANO, FloatFormat.BF16, Target.E4M3, CHOSEN, IntStream.range(0, batch).toArray(), 1));
        }
    }

    @Test
    void aBatchOfPaddedRowsTouchesNothing() {
        check.check(of(TINY, FloatFormat.F32, Target.BF16, CHOSEN, new int[] {-1, -1, -1}, 2));
    }

    @Test
    void manyStepsStayWithTheReference() {
        check.check(of(new MambaShape(2, 16, 1, 64, 4), FloatFormat.F32, Target.PAIR, CHOSEN, new int[] {1, 0}, 40));
    }

    @Test
    void neitherTheBatchNorTheSizeOfBlocksChangesABit() {
        for (MambaShape shape : new MambaShape[] {TINY, ODD}) {
            SelectiveStateUpdateCheck.Result batch = check.check(of(shape, FloatFormat.F32, Target.PAIR, CHOSEN, BATCH, 2));
            SelectiveStateUpdateCheck.Result two = check.check(of(shape, FloatFormat.F32, Target.PAIR, CHOSEN, new int[] {1, 0}, 2));
            for (int s = 0; s < 2; s++) {
                Closeness.checkSameBits("sequence " + s, two.out()[s], batch.out()[s]);
                Closeness.checkSameBits("state of sequence " + s, two.states()[s], batch.states()[s]);
            }
            for (int rows : new SelectiveStateUpdate(emulator.kernels(), shape, 1e-5f).blockRows()) {
                SelectiveStateUpdateCheck.Result sized = check.check(of(shape, FloatFormat.F32, Target.PAIR, rows, BATCH, 2));
                for (int s = 0; s < sized.out().length; s++) {
                    Closeness.checkSameBits("sequence " + s, sized.out()[s], batch.out()[s]);
                    Closeness.checkSameBits("state of sequence " + s, sized.states()[s], batch.states()[s]);
                }
            }
        }
    }
}
