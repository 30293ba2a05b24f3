package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.options;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.LaunchedStep;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.engine.RowSampler;
import dev.sidewinder.engine.Sample;
import dev.sidewinder.engine.SpoiledWeights;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.cuda.kernel.SampleRows;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/// NaN in the middle of prompts, on the emulator.
class CudaSpoiledPieceTest {

    private static final int BAD = 63;
    private static final CacheShape SHAPE = new CacheShape(8, 4);

    /// Takes what the device chooses from each row.
    private static final RowSampler ANY = new RowSampler() {
        @Override
        public boolean describe(int row, SampleRows rows, int at) {
            rows.begin(at).take(0);
            return true;
        }

        @Override
        public Sample sample(int row, float[] values, int offset) {
            throw new IllegalStateException("row " + row + " on the host");
        }
    };

    private static int[] tokens(int count, int badAt) {
        int[] tokens = new Random(count).ints(count, 0, BAD).toArray();
        if (badAt >= 0) {
            tokens[badAt] = BAD;
        }
        return tokens;
    }

    @Test
    void aPieceTellsOfItselfAndLeavesOthersInTheStepAlone() {
        try (Model model = Model.open(EmulatedBackend.SMALLEST);
                CudaBackend cuda = EmulatedBackend.open(model, SpoiledWeights.at(model.weights(), BAD, 3, Float.NEGATIVE_INFINITY), SHAPE,
                        options(512, SHAPE), 5)) {
            var generating = TestSequence.at(3, 2, tokens(5, -1));
            cuda.forward(new Batch(1, List.of(generating.next(5, LogitRows.LAST))));
            generating.append(7);

            Logits logits = cuda.forward(new Batch(2, List.of(TestSequence.at(0, 2, tokens(140, 131)).next(140, LogitRows.NONE),
                    generating.next(1, LogitRows.LAST), TestSequence.at(1, 2, tokens(3, -1)).next(3, LogitRows.ALL),
                    TestSequence.at(2, 2, tokens(9, 0)).next(9, LogitRows.NONE))));

            for (int i = 0; i < logits.rows() * logits.vocabSize(); i++) {
                assertThat(logits.values()[i]).isFinite();
            }
            assertThat(logits.spoiled().stream().toArray()).containsExactly(0, 3);
        }
    }

    /// What a step says stands until the one behind it has been awaited, though that is launched before.
    @Test
    void everyStepTellsOfItsOwnPieces() {
        try (Model model = Model.open(EmulatedBackend.SMALLEST);
                CudaBackend cuda = EmulatedBackend.open(model, SpoiledWeights.at(model.weights(), BAD, 0, Float.NaN), SHAPE,
                        options(256, SHAPE), 6)) {
            var bad = TestSequence.at(0, 3, tokens(300, 140));
            var good = TestSequence.at(1, 3, tokens(300, -1));
            LaunchedStep before = cuda.launch(new Batch(1, List.of(bad.next(128, LogitRows.NONE), good.next(128, LogitRows.NONE))));
            assertThat(before.sample(ANY)).isTrue();
            LaunchedStep spoiled = cuda.launch(new Batch(2, List.of(good.next(128, LogitRows.NONE), bad.next(128, LogitRows.NONE))));
            before.await();
            assertThat(before.isFinite(0)).isTrue();
            assertThat(before.isFinite(1)).isTrue();
            assertThat(spoiled.sample(ANY)).isTrue();
            LaunchedStep behind = cuda.launch(new Batch(3, List.of(good.next(44, LogitRows.LAST))));
            spoiled.await();
            assertThat(spoiled.isFinite(0)).isTrue();
            assertThat(spoiled.isFinite(1)).isFalse();
            behind.sample(ANY);
            behind.await();
            assertThat(behind.isFinite(0)).isTrue();
        }
    }
}
