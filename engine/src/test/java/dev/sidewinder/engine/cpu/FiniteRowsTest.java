package dev.sidewinder.engine.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.engine.SpoiledWeights;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.LogitRows;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FiniteRowsTest {

    private static final int BAD = 63;
    /// Nothing here carries a value from one token to another.
    private static final String TOKENS_APART = "synthetic:tiny,layers=-E,hidden=32,vocab=64,dense=32,experts=4,active=2,intermediate=32,shared=32";
    private static final String RECURRENT = "synthetic:tiny,layers=M-,hidden=32,vocab=64,mamba-heads=2,mamba-head-dim=16,groups=1,state=16,dense=32";

    @Test
    void findsAValueThatIsNoNumberAtAnyPlaceAndNoOther() {
        Random random = new Random(4);
        for (int n = 1; n < 40; n++) {
            float[] values = new float[n + 2];
            for (int i = 0; i < values.length; i++) {
                values[i] = switch (random.nextInt(6)) {
                    case 0 -> Float.MAX_VALUE;
                    case 1 -> -Float.MAX_VALUE;
                    case 2 -> Float.MIN_VALUE;
                    case 3 -> -0f;
                    default -> (float) random.nextGaussian();
                };
            }
            values[0] = Float.NaN;
            values[n + 1] = Float.NEGATIVE_INFINITY;
            assertThat(FiniteRows.areFinite(values, 1, n + 1)).isTrue();
            for (float bad : new float[] {Float.NaN, Float.intBitsToFloat(0xff800001), Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
                int at = 1 + random.nextInt(n);
                float before = values[at];
                values[at] = bad;
                assertThat(FiniteRows.areFinite(values, 1, n + 1)).as("%s at %d of %d", bad, at - 1, n).isFalse();
                values[at] = before;
            }
        }
    }

    /// A NaN that the last row knows nothing of: its logits are numbers, and yet the piece is not.
    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void aPieceTellsOfEachOfItsTokens(float value) {
        try (Model model = Model.open(TOKENS_APART);
                CpuBackend backend = new CpuBackend(model.config(), SpoiledWeights.at(model.weights(), BAD, 7, value), new CacheShape(8, 4),
                        new CpuOptions(Arithmetic.F32, 2, 512, CpuOptions.Products.SCALAR), LoadProgress.SILENT)) {
            int[] bad = new Random(1).ints(140, 0, BAD).toArray();
            bad[100] = BAD;
            int[] good = new Random(2).ints(140, 0, BAD).toArray();
            Logits logits = backend.forward(new Batch(1, List.of(TestSequence.at(0, 2, good).next(140, LogitRows.LAST),
                    TestSequence.at(1, 2, bad).next(140, LogitRows.LAST), TestSequence.at(2, 2, good).next(128, LogitRows.NONE))));

            assertThat(FiniteRows.areFinite(logits.values(), 0, logits.rows() * logits.vocabSize())).as("all rows of logits").isTrue();
            assertThat(logits.spoiled().stream().toArray()).containsExactly(1);
        }
    }

    @Test
    void aPieceOfWhichNoLogitsAreWantedTellsToo() {
        try (Model model = Model.open(RECURRENT);
                CpuBackend backend = new CpuBackend(model.config(), SpoiledWeights.at(model.weights(), BAD, 0, Float.NaN), new CacheShape(8, 4),
                        new CpuOptions(Arithmetic.F32, 2, 512, CpuOptions.Products.SCALAR), LoadProgress.SILENT)) {
            int[] bad = new Random(1).ints(300, 0, BAD).toArray();
            bad[130] = BAD;
            var sequence = TestSequence.at(0, 3, bad);
            assertThat(backend.forward(new Batch(1, List.of(sequence.next(128, LogitRows.NONE)))).spoiled().isEmpty()).isTrue();
            assertThat(backend.forward(new Batch(2, List.of(sequence.next(128, LogitRows.NONE)))).spoiled().get(0)).isTrue();
            assertThat(backend.forward(new Batch(3, List.of(sequence.next(44, LogitRows.LAST)))).spoiled().get(0)).as("as the state is").isTrue();
        }
    }
}
