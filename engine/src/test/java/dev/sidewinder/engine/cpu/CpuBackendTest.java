package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.checkpoint.Bf16;
import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.checkpoint.TensorView;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class CpuBackendTest {

    private static final CacheShape SHAPE = new CacheShape(6, 2);
    private static final int MAX_BATCH_TOKENS = 128;

    private final Model model = GoldenData.model();
    private final CpuBackend backend = open(model.weights(), Arithmetic.F32, CpuOptions.Products.BEST, LoadProgress.SILENT);

    private CpuBackend open(ModelWeights weights, Arithmetic arithmetic, CpuOptions.Products products,
            LoadProgress progress) {
        return new CpuBackend(model.config(), weights, SHAPE, new CpuOptions(arithmetic, 2, MAX_BATCH_TOKENS, products),
                progress);
    }

    @AfterEach
    void close() {
        backend.close();
        model.close();
    }

    private static Logits forward(CpuBackend backend, BatchEntry... entries) {
        return backend.forward(new Batch(1, List.of(entries)));
    }

    @Test
    void returnsTheWantedRowsInTheOrderOfTheEntries() {
        var none = TestSequence.at(0, 3, new int[] {1, 2, 3});
        var all = TestSequence.at(1, 3, new int[] {4, 5});

        Logits logits = forward(backend, none.next(3, LogitRows.NONE), all.next(2, LogitRows.ALL));

        assertThat(logits.rows()).isEqualTo(2);
        assertThat(logits.vocabSize()).isEqualTo(512);
        float[] last = row(logits, 1);
        assertThat(row(forward(backend, TestSequence.at(0, 3, new int[] {4, 5}).next(2, LogitRows.LAST)), 0))
                .isEqualTo(last);
    }

    @Test
    void refusesMoreTokensThanItWasPlannedFor() {
        var sequence = TestSequence.at(0, 3, new int[MAX_BATCH_TOKENS + 1]);

        assertThatThrownBy(() -> forward(backend, sequence.next(MAX_BATCH_TOKENS + 1, LogitRows.LAST)))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("129").hasMessageContaining("128");
    }

    @Test
    void refusesTokensThatAreNotInTheVocabulary() {
        for (int token : new int[] {-1, 512, Integer.MAX_VALUE}) {
            var sequence = TestSequence.at(0, 3, new int[] {1, token});
            assertThatThrownBy(() -> forward(backend, sequence.next(2, LogitRows.LAST)))
                    .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("" + token);
        }
    }

    @Test
    void refusesToGoOnWhereTheSlotDoesNotStand() {
        // given a slot that holds 3 tokens of another sequence
        forward(backend, TestSequence.at(0, 3, new int[3]).next(3, LogitRows.NONE));
        var sequence = TestSequence.at(0, 3, new int[4]);
        sequence.next(3, LogitRows.NONE);

        // then a sequence that says it has run 3 tokens there is refused
        assertThatThrownBy(() -> forward(backend, sequence.next(1, LogitRows.LAST)))
                .isInstanceOf(IllegalStateException.class).hasMessageContaining("slot 0");
    }

    @Test
    void refusesASequenceWithoutRoomForItsTokens() {
        var sequence = new TestSequence(0, new int[0], new int[] {1});

        assertThatThrownBy(() -> forward(backend, sequence.next(1, LogitRows.LAST)))
                .isInstanceOf(IllegalStateException.class).hasMessageContaining("KV blocks");
    }

    @ParameterizedTest
    @EnumSource(Arithmetic.class)
    void reportsProgressUpToTheWhole(Arithmetic arithmetic) {
        var done = new ArrayList<Long>();
        var totals = new ArrayList<Long>();

        open(model.weights(), arithmetic, CpuOptions.Products.BEST, (bytes, total) -> {
            done.add(bytes);
            totals.add(total);
        }).close();

        assertThat(done).isSorted().hasSize(model.config().layers().size() + 1);
        assertThat(totals).containsOnly(done.getLast());
    }

    @Test
    void leavesNoThreadBehind() {
        open(model.weights(), Arithmetic.BF16, CpuOptions.Products.BEST, LoadProgress.SILENT).close();
        backend.close();

        assertThat(Thread.getAllStackTraces().keySet()).noneMatch(thread -> thread.getName().startsWith("sidewinder-cpu-"));
    }

    @Test
    void saysHowItComputes() {
        assertThat(backend.description()).contains("f32 arithmetic", "2 threads", "Vector API");
        try (var scalar = open(model.weights(), Arithmetic.BF16, CpuOptions.Products.SCALAR, LoadProgress.SILENT)) {
            assertThat(scalar.description()).contains("bf16 arithmetic", "plain Java");
        }
    }

    @Test
    void weightsStoredAsF32OrF16GiveTheSameAsBf16() {
        // given a head stored in three formats; its values are exact in all of them
        float[] expected = logits(model.weights());
        for (DType type : new DType[] {DType.F32, DType.F16}) {
            try (Arena arena = Arena.ofShared()) {
                var weights = new ModelWeights(model.weights().embeddings(), model.weights().layers(),
                        model.weights().finalNorm(), stored((LinearWeight.Plain) model.weights().head(), type, arena));

                float[] actual = logits(weights);

                for (int i = 0; i < expected.length; i++) {
                    // F16 cannot hold the smallest bf16 values; nothing else differs
                    float tolerance = type == DType.F32 ? 0 : 1e-4f;
                    assertThat(Math.abs(actual[i] - expected[i])).isLessThanOrEqualTo(tolerance);
                }
            }
        }
    }

    private float[] logits(ModelWeights weights) {
        try (var own = open(weights, Arithmetic.F32, CpuOptions.Products.BEST, LoadProgress.SILENT)) {
            return row(forward(own, TestSequence.at(0, 3, new int[] {7, 8, 9}).next(3, LogitRows.LAST)), 0);
        }
    }

    private static LinearWeight stored(LinearWeight.Plain weight, DType type, Arena arena) {
        int count = weight.outputs() * weight.inputs();
        MemorySegment data = arena.allocate((long) count * type.bytes());
        for (int i = 0; i < count; i++) {
            float value = Bf16.decode(weight.tensor().data().get(JAVA_SHORT_UNALIGNED, 2 * (weight.offset() + i)));
            if (type == DType.F32) {
                data.set(JAVA_FLOAT_UNALIGNED, 4L * i, value);
            } else {
                data.set(JAVA_SHORT_UNALIGNED, 2L * i, Float.floatToFloat16(value));
            }
        }
        return new LinearWeight.Plain(new TensorView("head", type, weight.tensor().shape(), data), 0, weight.outputs(),
                weight.inputs());
    }

    private static float[] row(Logits logits, int row) {
        return Arrays.copyOfRange(logits.values(), logits.offset(row), logits.offset(row + 1));
    }
}
