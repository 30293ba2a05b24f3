package dev.sidewinder.server.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.math.BigInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PairedCountsTest {

    /// Agresti, "Categorical Data Analysis", §10.1.1: 1,600 Britons asked twice about their prime minister. The book's
    /// interval is (-0.06, -0.02) from a standard error of 0.0095.
    @Test
    void agreesWithTheExampleOfTheLiterature() {
        var counts = new PairedCounts(794, 150, 86, 570);

        assertThat(counts.difference()).isEqualTo(-0.04, within(1e-12));
        assertThat(counts.interval().low()).isCloseTo(-0.04 - 1.96 * 0.0095, within(2e-4));
        assertThat(counts.interval().high()).isCloseTo(-0.04 + 1.96 * 0.0095, within(2e-4));
        assertThat(counts.probabilityOfChance()).isCloseTo(3.7159e-5, within(1e-8));
    }

    @ParameterizedTest
    @CsvSource({"0, 0, 1", "0, 1, 1", "0, 5, 0.0625", "5, 0, 0.0625", "1, 8, 0.0390625", "3, 3, 1",
        "2, 12, 0.012939453125", "5, 15, 0.04138946533203125", "700, 900, 6.319484959450139e-07"})
    void theProbabilityIsThatOfFairCoins(int firstOnly, int secondOnly, double probability) {
        assertThat(new PairedCounts(10, firstOnly, secondOnly, 3).probabilityOfChance())
                .isCloseTo(probability, within(1e-9 * probability));
    }

    @Test
    void theProbabilityIsTheExactSumForAllSmallCounts() {
        for (int changed = 0; changed <= 60; changed++) {
            for (int first = 0; first <= changed; first++) {
                BigInteger tail = BigInteger.ZERO;
                for (int k = 0; k <= Math.min(first, changed - first); k++) {
                    tail = tail.add(choose(changed, k));
                }
                double exact = Math.min(1, 2 * tail.doubleValue() / Math.pow(2, changed));
                assertThat(new PairedCounts(0, first, changed - first, 0).probabilityOfChance())
                        .isCloseTo(exact, within(1e-10));
            }
        }
    }

    @Test
    void anIntervalHasAWidthWhereNothingChanged() {
        Interval interval = new PairedCounts(100, 0, 0, 0).interval();

        assertThat(interval.low()).isBetween(-0.03, -0.001);
        assertThat(interval.high()).isCloseTo(-interval.low(), within(1e-12));
    }

    @Test
    void anIntervalStaysInside() {
        assertThat(new PairedCounts(0, 0, 1, 0).interval().high()).isLessThanOrEqualTo(1);
        assertThat(new PairedCounts(0, 1, 0, 0).interval().low()).isGreaterThanOrEqualTo(-1);
    }

    @Test
    void bothAccuraciesComeOutOfTheCounts() {
        var counts = new PairedCounts(5, 2, 1, 2);

        assertThat(counts.cases()).isEqualTo(10);
        assertThat(counts.first()).isEqualTo(new Proportion(7, 10));
        assertThat(counts.second()).isEqualTo(new Proportion(6, 10));
        assertThat(counts.difference()).isEqualTo(-0.1, within(1e-12));
    }

    private static BigInteger choose(int n, int k) {
        BigInteger result = BigInteger.ONE;
        for (int i = 0; i < k; i++) {
            result = result.multiply(BigInteger.valueOf(n - i)).divide(BigInteger.valueOf(i + 1));
        }
        return result;
    }
}
