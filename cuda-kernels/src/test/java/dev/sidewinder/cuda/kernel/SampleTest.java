package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.kernel.NaiveSampler.Wanted;
import dev.sidewinder.cuda.kernel.SampleCheck.Size;
import dev.sidewinder.cuda.kernel.SampleCheck.Step;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// `sample.cu` in the emulator against [NaiveSampler].
@Timeout(300)
class SampleTest {

    private static Wanted draw(double temperature, int topK, double topP, int alternatives) {
        return new Wanted(temperature, topK, topP, 0, 42, 1, 77, null, 1, 0, 0, new int[0][], new int[0], new float[0], new int[0], new int[0],
                alternatives, -1);
    }

    private static void check(long seed, Size size, int steps) {
        System.out.println("SampleTest seed " + seed);
        Random random = new Random(seed);
        try (Emulator emulator = Emulator.open(seed); SampleCheck check = new SampleCheck(emulator.kernels(), size)) {
            for (int step = 0; step < steps; step++) {
                check.check(SampleCases.random(random, size), "seed " + seed + ", step " + step);
            }
        }
    }

    // ---- random rows

    @ParameterizedTest
    @CsvSource({"1, 40, 1", "2, 40, 2", "31, 40, 3", "33, 40, 4", "64, 40, 5", "127, 30, 6", "128, 30, 7", "129, 30, 8", "300, 30, 9"})
    void choosesAsTheNaiveSamplerDoes(int vocabSize, int steps, long seed) {
        check(seed, Size.of(vocabSize, 32).withBlock(32, 32), steps);
    }

    @ParameterizedTest
    @CsvSource({"1000, 11", "1001, 12", "2560, 13", "2561, 14"})
    void choosesInOddVocabularies(int vocabSize, long seed) {
        check(seed, Size.of(vocabSize, 16), 8);
    }

    @ParameterizedTest
    @CsvSource({"1001, 1003, 21", "1000, 1004, 22", "33, 36, 23"})
    void keepsToItsRowWhereRowsAreApart(int vocabSize, int stride, long seed) {
        check(seed, Size.of(vocabSize, 16).withStride(stride), 6);
    }

    @ParameterizedTest
    @CsvSource({"32, 32, 31", "64, 128, 32", "128, 256, 33", "256, 2048, 34", "512, 2048, 35"})
    void choosesTheSameWithAnyBlock(int threads, int capacity, long seed) {
        check(seed, Size.of(2560, 12).withBlock(threads, capacity), 3);
    }

    @ParameterizedTest
    @ValueSource(longs = {41, 42})
    void choosesInTheVocabularyOfTheRealModel(long seed) {
        check(seed, Size.of(131_072, 6).withBlock(128, 2048), 1);
    }

    @Test
    void replaysAGraphWithOtherParameters() {
        Size size = Size.of(257, 16);
        try (Emulator emulator = Emulator.open(51); SampleCheck check = new SampleCheck(emulator.kernels(), size)) {
            check.checkReplays(60, new Random(51), "seed 51");
        }
    }

    // ---- rows that a cut may trip over

    @ParameterizedTest
    @ValueSource(ints = {1, 31, 32, 33, 63, 64, 65, 1000, 4095, 4096, 4097})
    void cutsEqualLogitsById(int topK) {
        int vocabSize = 4096;
        Size size = Size.of(vocabSize, 6).withBlock(32, 64);
        float[] flat = new float[vocabSize];
        float[] twoLevels = new float[vocabSize];
        for (int i = 0; i < vocabSize; i++) {
            twoLevels[i] = i % 3;
        }
        float[][] logits = {flat, twoLevels, flat, twoLevels, flat, twoLevels};
        Wanted[] rows = {draw(1, topK, 1, 20), draw(1, topK, 1, 20), draw(0.5, topK, 0.5, -1), draw(0.5, topK, 0.5, -1),
                draw(1, 0, (topK - 0.5) / vocabSize, 3), draw(1, 0, (double) topK / 4100, 3)};
        try (Emulator emulator = Emulator.open(topK); SampleCheck check = new SampleCheck(emulator.kernels(), size)) {
            check.check(new Step(logits, rows), "top_k " + topK);
        }
    }

    /// Floats that follow each other, around 0 as well: the buckets by logit cannot tell them apart, those by rank can.
    @ParameterizedTest
    @ValueSource(floats = {1f, -1e-44f, 1000f, -3e38f})
    void cutsBetweenNeighbouringFloats(float from) {
        int vocabSize = 3000;
        Size size = Size.of(vocabSize, 5).withBlock(32, 32);
        float[] row = new float[vocabSize];
        row[0] = from;
        for (int i = 1; i < vocabSize; i++) {
            row[i] = Math.nextUp(row[i - 1]);
        }
        float[][] logits = {row, row, row, row, row};
        Wanted[] rows = {draw(1, 1234, 1, 20), draw(1, 0, 0.3, -1), draw(1e-3, 2000, 0.777, -1), draw(1e300, 33, 0.01, -1), draw(1, 2999, 1, -1)};
        try (Emulator emulator = Emulator.open(7); SampleCheck check = new SampleCheck(emulator.kernels(), size)) {
            check.check(new Step(logits, rows), "from " + from);
        }
    }

    @Test
    void drawsFirstAndLastTokenOfChunksAndRows() {
        // given rows where all weight is on one token
        int[] tokens = {0, 1, 3, 4, 127, 128, 129, 255, 256, 511, 512, 1000};
        Size size = Size.of(1001, tokens.length).withBlock(32, 32);
        float[][] logits = new float[tokens.length][1001];
        Wanted[] rows = new Wanted[tokens.length];
        for (int i = 0; i < tokens.length; i++) {
            Arrays.fill(logits[i], -50);
            logits[i][tokens[i]] = 50;
            rows[i] = draw(1 + i % 2, i % 3 == 0 ? 5 : 0, i % 4 == 0 ? 0.9 : 1, 2);
        }
        try (Emulator emulator = Emulator.open(8); SampleCheck check = new SampleCheck(emulator.kernels(), size)) {
            check.check(new Step(logits, rows), "one token");
        }
    }

    /// The first token of each chunk weighs one unit, the very last token 2^40: a point below 1023 is the first one of a
    /// chunk, and of a thread's chunks. These are the positions of two seeds, of 2^31, whose random numbers give such points.
    @ParameterizedTest
    @ValueSource(ints = {32, 64, 512})
    void drawsAtTheFirstPointOfAnInterval(int threads) {
        int vocabSize = 131_072;
        int[] positions = {818_602_674, 1_152_543_134, 841_871_577, 1_183_039_284, 1_364_092_070, 1_957_485_704};
        float[] row = new float[vocabSize];
        Arrays.fill(row, -1000);
        for (int token = 0; token < vocabSize; token += 128) {
            row[token] = -27.5f;
        }
        row[vocabSize - 1] = 0;
        Size size = Size.of(vocabSize, positions.length).withBlock(threads, 2048);
        float[][] logits = new float[positions.length][];
        Wanted[] rows = new Wanted[positions.length];
        for (int i = 0; i < positions.length; i++) {
            logits[i] = row;
            rows[i] = new Wanted(1, 0, 1, 0, i < 2 ? 1 : 2, 0, positions[i], null, 1, 0, 0, new int[0][], new int[0], new float[0],
                    new int[0], new int[0], -1, -1);
            assertThat(NaiveSampler.choose(row, rows[i]).token()).as("position %d", positions[i]).isLessThan(vocabSize - 128);
        }
        try (Emulator emulator = Emulator.open(threads); SampleCheck check = new SampleCheck(emulator.kernels(), size)) {
            check.check(new Step(logits, rows), "first points");
        }
    }

    /// A penalty may push a logit out of the floats, with no mask or ban in the row: plus infinity is the largest, and
    /// leaves no weight to draw by; minus infinity never comes.
    @Test
    void choosesWhereAPenaltyLeavesTheFloats() {
        float[] above = {1, 3e38f, 2, 3e38f};
        float[] below = {-3e38f, -1e38f, -3e38f, -2e38f};
        float[][] logits = {above, above, above, below, below, below};
        int[][] all = {{0, 1}, {1, 0}, {2, 0}, {3, 2}};
        Wanted[] rows = new Wanted[logits.length];
        for (int i = 0; i < rows.length; i++) {
            rows[i] = new Wanted(i % 3 == 0 ? 0 : 1, i % 3 == 1 ? 0 : 2, 1, 0, i, 0, 9, null, i < 3 ? 0.1 : 3, 0, 0, all, new int[0], new float[0],
                    new int[0], new int[0], 4, -1);
        }
        try (Emulator emulator = Emulator.open(12); SampleCheck check = new SampleCheck(emulator.kernels(), Size.of(4, 6).withBlock(32, 32))) {
            check.check(new Step(logits, rows), "beyond the floats");
        }
    }

    @Test
    void findsNanAndInfinityAnywhere() {
        int[] places = {0, 1, 127, 128, 700, 999, 1000, 5};
        float[] bad = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY};
        Size size = Size.of(1001, places.length);
        float[][] logits = new float[places.length][1001];
        Wanted[] rows = new Wanted[places.length];
        for (int i = 0; i < places.length; i++) {
            logits[i][places[i]] = bad[i % 3];
            // what is masked counts as well
            rows[i] = new Wanted(i % 2, 0, 1, 0, 1, 0, 0, i % 4 == 3 ? new long[16] : null, 1, 0, 0, new int[0][], new int[0], new float[0],
                    new int[0], new int[] {500}, 5, i == 4 ? 3 : -1);
        }
        try (Emulator emulator = Emulator.open(9); SampleCheck check = new SampleCheck(emulator.kernels(), size)) {
            check.check(new Step(logits, rows), "not finite");
        }
    }

    /// What the host keeps of a token's weight: neighbouring exponents over the whole range, where a fused multiply-add
    /// or another order of operations would be off by units.
    @Test
    void weighsToTheUnit() {
        int vocabSize = 2560;
        Size size = Size.of(vocabSize, 24);
        float[][] logits = new float[24][vocabSize];
        Wanted[] rows = new Wanted[24];
        Random random = new Random(10);
        for (int row = 0; row < 24; row++) {
            for (int i = 0; i < vocabSize; i++) {
                logits[row][i] = i == 0 ? 0 : -random.nextFloat() * 30;
            }
            rows[row] = draw(0, 0, 1, 0);
        }
        try (Emulator emulator = Emulator.open(10); SampleCheck check = new SampleCheck(emulator.kernels(), size)) {
            check.check(new Step(logits, rows), "weights");
        }
    }

    // ---- the next step

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 127, 128, 129, 500})
    void handsTokensToTheNextStep(int rows) {
        try (Emulator emulator = Emulator.open(rows)) {
            for (int seed = 0; seed < 5; seed++) {
                SampleCheck.checkHandOver(emulator.kernels(), rows, seed);
            }
        }
    }

    // ---- what is refused

    @Test
    void refusesVocabulariesAndBlocksOutOfRange() {
        try (Emulator emulator = Emulator.open(1)) {
            Kernels kernels = emulator.kernels();
            assertThatThrownBy(() -> new Sample(kernels, 0)).hasMessageContaining("0 tokens");
            assertThatThrownBy(() -> new Sample(kernels, Sample.LARGEST_VOCABULARY + 1)).hasMessageContaining("524289");
            assertThatThrownBy(() -> new Sample(kernels, 10, 48, 64)).hasMessageContaining("48 threads");
            assertThatThrownBy(() -> new Sample(kernels, 10, 64, 32)).hasMessageContaining("room for 32");
            assertThat(new Sample(kernels, Sample.LARGEST_VOCABULARY).vocabSize()).isEqualTo(Sample.LARGEST_VOCABULARY);
        }
    }

    @Test
    void refusesRowsThatTheDeviceWouldTripOver() {
        try (Arena arena = Arena.ofConfined()) {
            var rows = new SampleRows(arena.allocate(3 * SampleRows.ROW_BYTES, 8), arena.allocate(20, 8), arena.allocate(SampleRows.maskBytes(100), 8), 1 << 20, 100);
            assertThatThrownBy(() -> rows.begin(1)).hasMessageContaining("row 1");
            rows.begin(0);
            assertThatThrownBy(() -> rows.bias(100, 1)).hasMessageContaining("token 100");
            assertThatThrownBy(() -> rows.ban(-1)).hasMessageContaining("token -1");
            assertThatThrownBy(() -> rows.take(100)).hasMessageContaining("token 100");
            assertThatThrownBy(() -> rows.logprobs(21)).hasMessageContaining("21 alternatives");
            assertThatThrownBy(() -> rows.draw(0, 0, 1, 0)).hasMessageContaining("temperature 0.0");
            assertThatThrownBy(() -> rows.draw(1, 0, Double.NaN, 0)).hasMessageContaining("top_p NaN");
            rows.bias(1, 1).penalty(2, 3);
            assertThatThrownBy(() -> rows.bias(2, 1)).hasMessageContaining("BIAS was interrupted");
            assertThatThrownBy(() -> rows.penalty(3, 3)).isInstanceOf(IllegalStateException.class).hasMessageContaining("20 bytes");
            assertThat(rows.entriesLeft()).isZero();
            rows.clear();
            assertThat(rows.rowBytes() + rows.listBytes() + rows.maskBytes()).isZero();
        }
    }
}
