package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WeightsTest {

    /// Nine squarings of a polynomial that is right to 2e-11.
    private static final double RELATIVE_ERROR = 1.2e-8;

    @Test
    void weighsAsTheExponentialDoes() {
        int count = 200_000;
        float[] logits = new float[count];
        for (int i = 0; i < count; i++) {
            logits[i] = 3 - i * (30f / count);
        }
        var weights = new Weights(count);
        weights.weigh(logits, 0, 3, 0.9);
        for (int i = 0; i < count; i++) {
            double exact = Math.exp(((double) logits[i] - 3) * 0.9) * Weights.HEAVIEST;
            assertThat(Math.abs(weights.of(i) - exact)).as("weight of %s", logits[i]).isLessThanOrEqualTo(1 + exact * RELATIVE_ERROR);
        }
        assertThat(weights.of(0)).isEqualTo(Weights.HEAVIEST);
    }

    @Test
    void givesMaskedTokensNothing() {
        var weights = new Weights(4);
        weights.weigh(new float[] {Float.NEGATIVE_INFINITY, -3e38f, 5, 4}, 0, 5, 100);
        assertThat(weights.of(0)).isZero();
        assertThat(weights.of(1)).isZero();
        assertThat(weights.of(2)).isEqualTo(Weights.HEAVIEST);
        assertThat(weights.of(3)).as("exp(-100)").isZero();
    }

    @Test
    void dropsWhatIsLighterThanAShare() {
        var weights = new Weights(3);
        weights.weigh(new float[] {0, (float) Math.log(0.5), (float) Math.log(0.25)}, 0, 0, 1);
        weights.dropBelow(0.4);
        assertThat(weights.of(0)).isEqualTo(Weights.HEAVIEST);
        assertThat(weights.of(1)).isPositive();
        assertThat(weights.of(2)).isZero();
        weights.dropBelow(1);
        assertThat(weights.total()).isEqualTo(Weights.HEAVIEST);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 1023, 1024, 1025, 2048, 5000})
    void findsTheTokenOfEveryPoint(int vocabSize) {
        Random random = new Random(vocabSize);
        float[] row = new float[vocabSize];
        for (int i = 0; i < vocabSize; i++) {
            row[i] = random.nextInt(4) == 0 ? Float.NEGATIVE_INFINITY : -random.nextFloat() * 5;
        }
        row[random.nextInt(vocabSize)] = 0;
        var weights = new Weights(vocabSize);
        weights.weigh(row, 0, 0, 1);
        long end = 0;
        for (int token = 0; token < vocabSize; token++) {
            if (weights.of(token) > 0) {
                assertThat(weights.tokenAt(end)).isEqualTo(token);
                end += weights.of(token);
                assertThat(weights.tokenAt(end - 1)).isEqualTo(token);
            }
        }
        assertThat(end).isEqualTo(weights.total());
    }
}
