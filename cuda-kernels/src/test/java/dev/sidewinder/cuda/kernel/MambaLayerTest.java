package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.SsdChunkScan.Form;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/// Convolution, scan, gated norm and state update as the layer uses them, one behind the other.
class MambaLayerTest {

    private static final long SEED = 20261122;
    /// x, B, C, the operands of the scan and y rounded to bf16.
    private static final double TOLERANCE_SINGLE = 1e-2;
    private static final double TOLERANCE_PLAIN = 3e-5;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private MambaLayerCheck check;

    @BeforeEach
    void open() {
        check = new MambaLayerCheck(emulator.device(), emulator.kernels());
    }

    @Test
    void tokensGoOnFromTheStateThatAPromptLeft() {
        int[][] prompts = {{1, 2, 3, 127, 128, 130}};
        MambaShape shape = new MambaShape(4, 64, 2, 64, 4);
        check.check(new MambaLayerCheck.Case(shape, Form.PAIR, FloatFormat.F32, prompts, 3, SEED), MambaLayerCheck.TOLERANCE_PAIR);
        check.check(new MambaLayerCheck.Case(shape, Form.SINGLE, FloatFormat.BF16, prompts, 3, SEED), TOLERANCE_SINGLE);
        check.check(new MambaLayerCheck.Case(MambaShapes.GOLDEN, Form.PAIR, FloatFormat.F32, prompts, 3, SEED), TOLERANCE_PLAIN);
        check.check(new MambaLayerCheck.Case(MambaShapes.ODD, Form.PAIR, FloatFormat.F32, prompts, 3, SEED), TOLERANCE_PLAIN);
    }

    @Test
    void cutsOnTheGridChangeNoBitOfAnyTokenAfter() {
        int[] lengths = {300, 128, 513, 5};
        MambaShape shape = new MambaShape(4, 16, 2, 128, 4);
        for (Form form : Form.values()) {
            MambaLayerCheck.Result whole = check.check(
                    new MambaLayerCheck.Case(shape, form, FloatFormat.F32, new int[][] {lengths}, 2, SEED), tolerance(form));
            MambaLayerCheck.Result cut = check.check(
                    new MambaLayerCheck.Case(shape, form, FloatFormat.F32, GridCuts.random(lengths, new Random(SEED)), 2, SEED),
                    tolerance(form));
            for (int s = 0; s < lengths.length; s++) {
                Closeness.checkSameBits(form + ", sequence " + s, cut.out()[s], whole.out()[s]);
            }
        }
    }

    private static double tolerance(Form form) {
        return switch (form) {
            case SINGLE -> TOLERANCE_SINGLE;
            case PAIR -> MambaLayerCheck.TOLERANCE_PAIR;
        };
    }
}
