package dev.sidewinder.server.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ProportionTest {

    /// Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3, to its four digits.
    @ParameterizedTest
    @CsvSource({"81, 263, 0.2553, 0.3662", "15, 148, 0.0624, 0.1605", "0, 20, 0.0000, 0.1611", "1, 29, 0.0061, 0.1718"})
    void theIntervalIsTheOneOfTheLiterature(int right, int cases, double low, double high) {
        Interval interval = new Proportion(right, cases).interval();

        assertThat(interval.low()).isCloseTo(low, within(5e-5));
        assertThat(interval.high()).isCloseTo(high, within(5e-5));
    }

    @ParameterizedTest
    @CsvSource({"0, 1", "1, 1", "0, 7", "7, 7", "3, 7", "0, 100000", "100000, 100000", "99999, 100000"})
    void theIntervalHoldsTheValueAndStaysInside(int right, int cases) {
        var proportion = new Proportion(right, cases);
        Interval interval = proportion.interval();

        assertThat(interval.low()).isBetween(0.0, proportion.value());
        assertThat(interval.high()).isBetween(proportion.value(), 1.0);
        assertThat(interval.high() - interval.low()).isPositive();
    }

    @ParameterizedTest
    @CsvSource({"0, 20", "1, 29", "13, 50"})
    void rightAndWrongAreMirrored(int right, int cases) {
        Interval interval = new Proportion(right, cases).interval();
        Interval mirrored = new Proportion(cases - right, cases).interval();

        assertThat(mirrored.low()).isCloseTo(1 - interval.high(), within(1e-12));
        assertThat(mirrored.high()).isCloseTo(1 - interval.low(), within(1e-12));
    }

    @Test
    void refusesWhatIsNoProportion() {
        assertThatThrownBy(() -> new Proportion(0, 0)).hasMessageContaining("0 of 0");
        assertThatThrownBy(() -> new Proportion(3, 2)).hasMessageContaining("3 of 2");
        assertThatThrownBy(() -> new Proportion(-1, 2)).hasMessageContaining("-1 of 2");
    }
}
