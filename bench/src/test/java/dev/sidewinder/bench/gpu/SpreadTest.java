package dev.sidewinder.bench.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class SpreadTest {

    @Test
    void findsMedianAndWhatMostStayWithin() {
        assertThat(Spread.of(7)).isEqualTo(new Spread(7, 7));
        assertThat(Spread.of(3, 1)).isEqualTo(new Spread(2, 3));
        assertThat(Spread.of(5, 1, 2)).isEqualTo(new Spread(2, 5));
        double[] hundred = IntStream.rangeClosed(1, 100).mapToDouble(i -> 101 - i).toArray();
        assertThat(Spread.of(hundred)).isEqualTo(new Spread(50.5, 95));
    }
}
