package dev.sidewinder.engine.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/// A sequence's logits have the same bits whatever happens around it. Every test compares with the sequence alone, token by
/// token.
@ParameterizedClass
@MethodSource("variants")
class BitwiseTest {

    private static final String ALL_KINDS = "synthetic:tiny,layers=M*-EM,hidden=80,vocab=300,mamba-heads=6,"
            + "mamba-head-dim=24,groups=2,state=20,query-heads=6,kv-heads=2,head-dim=24,dense=72,experts=5,active=2,"
            + "intermediate=40,shared=56,latent=48";
    private static final int PROMPT_TOKENS = 300;
    private static final int SLOTS = 16;
    private static final int BLOCKS_PER_SEQUENCE = 3;
    private static final int MAX_BATCH_TOKENS = 1024;
    private static final int OTHERS = 15;

    /// @param location a model with every layer kind and no round numbers, or a shape that fills whole vectors and tiles
    record Variant(String location, Arithmetic arithmetic, CpuOptions.Products products) {}

    static Stream<Variant> variants() {
        // In whole vectors the two arithmetics differ in how products round, which the first shape shows as well.
        return Stream.of(new Variant(ALL_KINDS, Arithmetic.F32, CpuOptions.Products.VECTOR),
                new Variant(ALL_KINDS, Arithmetic.BF16, CpuOptions.Products.VECTOR),
                new Variant(ALL_KINDS, Arithmetic.BF16, CpuOptions.Products.BEST),
                new Variant("synthetic:tiny", Arithmetic.BF16, CpuOptions.Products.VECTOR),
                new Variant("synthetic:tiny", Arithmetic.BF16, CpuOptions.Products.BEST));
    }

    private final Variant variant;
    private final Model model;
    private final int[] prompt;
    private CpuBackend backend;

    BitwiseTest(Variant variant) {
        this.variant = variant;
        model = Model.open(variant.location());
        prompt = randomTokens(new Random(11), PROMPT_TOKENS);
        backend = open(2);
    }

    private CpuBackend open(int threads) {
        return new CpuBackend(model.config(), model.weights(), new CacheShape(SLOTS * BLOCKS_PER_SEQUENCE, SLOTS),
                new CpuOptions(variant.arithmetic(), threads, MAX_BATCH_TOKENS, variant.products()),
                LoadProgress.SILENT);
    }

    private int[] randomTokens(Random random, int count) {
        return random.ints(count, 0, model.config().vocabSize()).toArray();
    }

    @AfterEach
    void close() {
        backend.close();
        model.close();
    }

    @Test
    void aWholePromptGivesTheBitsOfSingleTokens() {
        assertRows(run(sequence(0), PROMPT_TOKENS), alone());
    }

    @Test
    void piecesOfAnySizeGiveTheBitsOfSingleTokens() {
        float[][] expected = alone();
        for (int piece : new int[] {2, 3, 7, 16, 17, 64, 127, 128, 129, 256}) {
            assertRows(run(sequence(1), piece), expected);
        }
    }

    @Test
    void fifteenOtherSequencesChangeNothing() {
        // given others that come and go with prompts and single tokens
        float[][] expected = alone();
        var random = new Random(5);
        var others = new TestSequence[OTHERS];

        // when the sequence runs among them, once in pieces and once token by token
        for (int piece : new int[] {128, 1}) {
            var rows = new ArrayList<float[]>();
            var sequence = sequence(SLOTS - 1);
            while (sequence.remaining() > 0) {
                var entries = otherEntries(others, random);
                int place = random.nextInt(entries.size() + 1);
                entries.add(place, sequence.next(Math.min(piece, sequence.remaining()), LogitRows.ALL));
                Logits logits = backend.forward(new Batch(1, entries));
                addRows(rows, logits, new Batch(1, entries.subList(0, place)).logitRows(),
                        entries.get(place).count());
            }

            // then every row is as before
            assertRows(rows.toArray(float[][]::new), expected);
        }
    }

    private List<BatchEntry> otherEntries(TestSequence[] others, Random random) {
        var entries = new ArrayList<BatchEntry>();
        for (int i = 0; i < others.length; i++) {
            if (others[i] == null || others[i].remaining() == 0) {
                others[i] = TestSequence.at(i, BLOCKS_PER_SEQUENCE, randomTokens(random, 1 + random.nextInt(140)));
            }
            if (random.nextInt(4) > 0) {
                int count = random.nextInt(3) > 0 ? 1 : Math.min(others[i].remaining(), 1 + random.nextInt(50));
                entries.add(others[i].next(count, LogitRows.values()[random.nextInt(3)]));
            }
        }
        return entries;
    }

    @Test
    void theNumberOfThreadsChangesNothing() {
        float[][] expected = alone();
        for (int threads : new int[] {1, 3}) {
            backend.close();
            backend = open(threads);
            assertRows(run(sequence(2), 128), expected);
            assertRows(run(sequence(3), 1), expected);
        }
    }

    @Test
    void aSlotAndBlocksThatHeldAnotherSequenceLeakNothing() {
        // given what another sequence left in the slot and blocks
        float[][] expected = alone();
        var former = TestSequence.at(4, BLOCKS_PER_SEQUENCE, randomTokens(new Random(3), 3 * 128));
        backend.forward(new Batch(1, List.of(former.next(former.length(), LogitRows.LAST))));

        // when ours begins there, with first pieces shorter than the convolution
        for (int first : new int[] {1, 2, 3, 4}) {
            var sequence = sequence(4);
            var rows = new ArrayList<float[]>();
            addRows(rows, backend.forward(new Batch(1, List.of(sequence.next(first, LogitRows.ALL)))), 0, first);
            int rest = sequence.remaining();
            addRows(rows, backend.forward(new Batch(1, List.of(sequence.next(rest, LogitRows.ALL)))), 0, rest);

            // then nothing of it shows
            assertRows(rows.toArray(float[][]::new), expected);
        }
    }

    private TestSequence sequence(int slot) {
        return TestSequence.at(slot, BLOCKS_PER_SEQUENCE, prompt);
    }

    private float[][] alone() {
        return run(sequence(0), 1);
    }

    private float[][] run(TestSequence sequence, int piece) {
        var rows = new ArrayList<float[]>();
        while (sequence.remaining() > 0) {
            int count = Math.min(piece, sequence.remaining());
            addRows(rows, backend.forward(new Batch(1, List.of(sequence.next(count, LogitRows.ALL)))), 0, count);
        }
        return rows.toArray(float[][]::new);
    }

    private static void addRows(List<float[]> rows, Logits logits, int first, int count) {
        for (int row = first; row < first + count; row++) {
            rows.add(Arrays.copyOfRange(logits.values(), logits.offset(row), logits.offset(row + 1)));
        }
    }

    private static void assertRows(float[][] actual, float[][] expected) {
        assertThat(actual.length).isEqualTo(expected.length);
        for (int row = 0; row < expected.length; row++) {
            int difference = Arrays.mismatch(actual[row], expected[row]);
            assertThat(difference).as(() -> "first differing logit").isEqualTo(-1);
            assertThat(actual[row]).doesNotContain(Float.NaN);
        }
    }
}
