package dev.sidewinder.cuda.kernel;

import static dev.sidewinder.cuda.kernel.MambaShapes.DENSE;
import static dev.sidewinder.cuda.kernel.MambaShapes.GOLDEN;
import static dev.sidewinder.cuda.kernel.MambaShapes.NANO;
import static dev.sidewinder.cuda.kernel.MambaShapes.ODD;
import static dev.sidewinder.cuda.kernel.MambaShapes.SMALL;
import static dev.sidewinder.cuda.kernel.MambaShapes.TINY;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class GatedNormTest {

    private static final long SEED = 20261122;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private GatedNormCheck check;

    @BeforeEach
    void open() {
        check = new GatedNormCheck(emulator.device(), emulator.kernels());
    }

    @Test
    void everyFormOfInputAndOutputOnEveryShape() {
        for (MambaShape shape : new MambaShape[] {TINY, SMALL, DENSE, GOLDEN, ODD}) {
            for (FloatFormat y : FloatFormat.values()) {
                for (FloatFormat projected : FloatFormat.values()) {
                    for (GatedNormCheck.Target target : GatedNormCheck.Target.values()) {
                        check.check(new GatedNormCheck.Case(shape, y, projected, target, 5, SEED));
                    }
                }
            }
        }
    }

    @Test
    void everyNumberOfRowsAroundABlock() {
        for (int rows = 2; rows <= 9; rows++) {
            check.check(new GatedNormCheck.Case(TINY, FloatFormat.F32, FloatFormat.F32, GatedNormCheck.Target.PAIR, rows, SEED + rows));
            check.check(new GatedNormCheck.Case(ODD, FloatFormat.F32, FloatFormat.F32, GatedNormCheck.Target.PAIR, rows, SEED + rows));
        }
    }

    @Test
    void theRealShape() {
        for (GatedNormCheck.Target target : GatedNormCheck.Target.values()) {
            check.check(new GatedNormCheck.Case(NANO, FloatFormat.BF16, FloatFormat.BF16, target, 7, SEED));
        }
    }
}
