package dev.sidewinder.bench.simulate;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SamplesTest {

    @ParameterizedTest
    @CsvSource({"0, 1", "1, 1", "50, 50", "50.5, 51", "99, 99", "99.5, 100", "100, 100"})
    void findsThePercentilesOfAHundredNumbers(double percent, double expected) {
        var samples = new Samples();
        for (int i = 0; i < 100; i++) {
            samples.add(1 + i * 37 % 100);
        }
        assertThat(samples.percentile(percent)).isEqualTo(expected);
        assertThat(samples.mean()).isEqualTo(50.5);
    }

    @Test
    void knowsNothingOfNoNumbers() {
        var samples = new Samples();
        assertThat(samples.percentile(50)).isNaN();
        assertThat(samples.mean()).isNaN();
    }

    @Test
    void takesNumbersInAfterItWasAsked() {
        var samples = new Samples();
        samples.add(5);
        assertThat(samples.max()).isEqualTo(5);
        samples.add(9);
        samples.add(1);
        assertThat(samples.max()).isEqualTo(9);
        assertThat(samples.percentile(1)).isEqualTo(1);
        samples.clear();
        samples.add(3);
        assertThat(samples.max()).isEqualTo(3);
        assertThat(samples.mean()).isEqualTo(3);
    }
}
