package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.ODD;
import static dev.sidewinder.engine.cuda.EmulatedBackend.ROUND;
import static dev.sidewinder.engine.cuda.EmulatedBackend.randomTokens;
import static dev.sidewinder.engine.cuda.EmulatedBackend.relativeError;
import static dev.sidewinder.engine.cuda.EmulatedBackend.run;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.LogitRows;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Turns of sessions on the emulated device begin at any place in a block. That an answer is the same whether its session was
/// forked or suspended before is [CudaSameAnswersTest]'s.
@Timeout(600)
class CudaSessionTest {

    private static final CacheShape SHAPE = new CacheShape(12, 4);

    /// The plain kernels, which take the emulator long, with `-Dsidewinder.long=true`.
    static List<String> models() {
        return Boolean.getBoolean("sidewinder.long") ? List.of(ROUND, ODD) : List.of(ROUND);
    }

    /// What a decode step and a scan differ in, and no more.
    @ParameterizedTest
    @MethodSource("models")
    void aPieceFromTheMiddleOfABlockComputesWhatSingleTokensDo(String location) {
        try (Model model = Model.open(location);
                CudaBackend backend = EmulatedBackend.open(model, SHAPE, EmulatedBackend.options(256, SHAPE), 1)) {
            for (int from : new int[] {1, 5, 64, 100, 127, 130}) {
                int end = Math.min(from / 128 * 128 + 128, from + 40);
                int[] prompt = randomTokens(new Random(from), end, model);
                var single = TestSequence.at(0, 3, prompt);
                var piece = TestSequence.at(1, 3, prompt);
                runTo(backend, single, from);
                runTo(backend, piece, from);
                float[] expected = null;
                for (int i = from; i < end; i++) {
                    expected = run(backend, single.next(1, LogitRows.LAST))[0];
                }
                float[] actual = run(backend, piece.next(end - from, LogitRows.LAST))[0];
                assertThat(relativeError(expected, actual)).as("from %d", from).isLessThan(0.05);
            }
        }
    }

    private static void runTo(CudaBackend backend, TestSequence sequence, int position) {
        int whole = Math.min(position, 128);
        run(backend, sequence.next(whole, LogitRows.NONE));
        if (position > whole) {
            run(backend, sequence.next(position - whole, LogitRows.NONE));
        }
    }
}
