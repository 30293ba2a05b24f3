package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LogProbabilitiesTest {

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
