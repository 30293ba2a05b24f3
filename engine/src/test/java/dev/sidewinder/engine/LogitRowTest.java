package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LogitRowTest {

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
}
