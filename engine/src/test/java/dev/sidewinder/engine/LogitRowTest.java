package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LogitRowTest {

    /// 2 ulp of a float in (0, 1].
    private static final double WEIGHT_ERROR = 2.4e-7;

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 8, 63, 64, 65, 1000, 131_072})
    void findsASingleNanOrInfinityWhereverItIs(int count) {
        Random random = new Random(count);
        float[] row = new float[count + 3];
        for (int i = 0; i < 20; i++) {
            Arrays.fill(row, Float.NaN);
            for (int t = 0; t < count; t++) {
                row[3 + t] = random.nextFloat() * 2e38f - 1e38f;
            }
            assertThat(LogitRow.isFinite(row, 3, count)).as("what lies outside the row does not count").isTrue();
            float bad = new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}[i % 3];
            row[3 + random.nextInt(count)] = bad;
            assertThat(LogitRow.isFinite(row, 3, count)).isFalse();
        }
    }

    @Test
    void takesTheLowestOfEqualLargest() {
        assertThat(LogitRow.argMax(new float[] {1, 3, 2, 3}, 0, 4)).isEqualTo(1);
        assertThat(LogitRow.argMax(new float[] {9, -5, -2, -2}, 1, 3)).isEqualTo(1);
        assertThat(LogitRow.argMax(new float[] {-1, -0f, 0f}, 0, 3)).as("-0 equals 0").isEqualTo(1);
        assertThat(LogitRow.argMax(new float[] {-1, 0f, -0f}, 0, 3)).isEqualTo(1);
        assertThat(LogitRow.argMax(new float[] {Float.NEGATIVE_INFINITY}, 0, 1)).isZero();
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void findsTheLargestOfRandomRows(long seed) {
        Random random = new Random(seed);
        for (int trial = 0; trial < 500; trial++) {
            float[] row = new float[1 + random.nextInt(300)];
            int expected = 0;
            for (int i = 0; i < row.length; i++) {
                row[i] = Math.round(random.nextGaussian() * 20) / 4f;
                expected = row[i] > row[expected] ? i : expected;
            }
            assertThat(LogitRow.argMax(row, 0, row.length)).as("seed %d", seed).isEqualTo(expected);
        }
    }

    @Test
    void weighsAsTheExponentialDoes() {
        int count = 200_000;
        float[] logits = new float[count];
        for (int i = 0; i < count; i++) {
            logits[i] = -i * (27f / count);
        }
        float[] weights = new float[count];
        LogitRow.weigh(logits, 0, count, 0, 1, weights);
        for (int i = 0; i < count; i++) {
            double exact = Math.exp(logits[i]);
            assertThat(Math.abs(weights[i] - exact) / exact).as("exp(%s)", logits[i]).isLessThan(WEIGHT_ERROR);
        }
        assertThat(weights[0]).isEqualTo(1f);
    }

    @Test
    void givesMaskedTokensNoUnits() {
        float[] weights = new float[3];
        LogitRow.weigh(new float[] {Float.NEGATIVE_INFINITY, -1e30f, 5}, 0, 3, 5, 100, weights);
        assertThat(LogitRow.units(weights[0])).isZero();
        assertThat(LogitRow.units(weights[1])).isZero();
        assertThat(LogitRow.units(weights[2])).isEqualTo(1L << 40);
    }

    @Test
    void sumsAreTheSameInAnyOrder() {
        Random random = new Random(5);
        float[] weights = new float[10_000];
        for (int i = 0; i < weights.length; i++) {
            weights[i] = (float) Math.exp(-20 * random.nextDouble());
        }
        long total = LogitRow.totalUnits(weights, weights.length);
        for (int i = weights.length - 1; i > 0; i--) {
            int other = random.nextInt(i + 1);
            float weight = weights[i];
            weights[i] = weights[other];
            weights[other] = weight;
        }
        assertThat(LogitRow.totalUnits(weights, weights.length)).isEqualTo(total);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 50, 4096, 131_072})
    void computesLogProbabilitiesAsInDouble(int vocabSize) {
        Random random = new Random(vocabSize);
        float[] row = new float[vocabSize];
        double max = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < vocabSize; i++) {
            row[i] = (float) random.nextGaussian() * 6;
            max = Math.max(max, row[i]);
        }
        double sum = 0;
        for (float logit : row) {
            sum += Math.exp(logit - max);
        }
        int token = random.nextInt(vocabSize);
        TokenLogprobs logprobs = new LogProbabilities(vocabSize).of(row, 0, token, 20);
        // half an ulp of a float near 32, and the error of the sum
        assertThat((double) logprobs.logprob()).isCloseTo(row[token] - max - Math.log(sum), within(2.5e-6));

        Integer[] sorted = new Integer[vocabSize];
        Arrays.setAll(sorted, i -> i);
        Arrays.sort(sorted, (a, b) -> row[a] != row[b] ? Float.compare(row[b], row[a]) : a - b);
        assertThat(logprobs.topTokens()).hasSize(Math.min(20, vocabSize));
        for (int i = 0; i < logprobs.topTokens().length; i++) {
            assertThat(logprobs.topTokens()[i]).isEqualTo(sorted[i]);
            assertThat((double) logprobs.topLogprobs()[i]).isCloseTo(row[sorted[i]] - max - Math.log(sum), within(2.5e-6));
        }
    }

    @Test
    void reportsEqualAlternativesByIdAndNothingBelowTheFloor() {
        TokenLogprobs logprobs = new LogProbabilities(5).of(new float[] {1, 2, -1e6f, 2, 1}, 0, 2, 5);
        assertThat(logprobs.topTokens()).containsExactly(1, 3, 0, 4, 2);
        assertThat(logprobs.logprob()).isEqualTo(-9999f);
        assertThat(logprobs.topLogprobs()[4]).isEqualTo(-9999f);
        assertThat(new LogProbabilities(5).of(new float[5], 0, 0, 0).topTokens()).isEmpty();
    }
}
