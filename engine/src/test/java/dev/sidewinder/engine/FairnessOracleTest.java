package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class FairnessOracleTest {

    private final FairnessOracle oracle = new FairnessOracle();

    @Test
    void findsNothingWhereAllBeginInTheOrderInWhichTheyCame() {
        for (int sequence = 0; sequence < 100; sequence++) {
            oracle.arrive(sequence, 50 + sequence, 10);
        }
        for (int sequence = 0; sequence < 100; sequence++) {
            oracle.begin(sequence);
            oracle.end(sequence);
        }

        assertThat(oracle.violation()).isEmpty();
        assertThat(oracle.longestWait()).isEqualTo(1);
    }

    @Test
    void findsOneThatIsOvertakenByTooMuch() {
        oracle.arrive(0, 90, 10);
        for (int sequence = 1; sequence <= 9; sequence++) {
            oracle.arrive(sequence, 90, 10);
            oracle.begin(sequence);
            oracle.end(sequence);
        }
        assertThat(oracle.violation()).isEmpty();

        // Ten times its hundred tokens, itself included, and not one more.
        oracle.arrive(10, 1, 0);
        oracle.begin(10);
        oracle.begin(0);

        assertThat(oracle.violation()).startsWith("sequence 0 of weight 100 waited while 1001 tokens of work began");
    }

    /// Sequence 0, of weight 1, goes on waiting when eleven times its work has begun.
    private void overtakeByEleven() {
        oracle.arrive(0, 1, 0);
        oracle.arrive(1, 11, 0);
        oracle.begin(1);
    }

    @Test
    void findsOneThatStillWaitsInTheEnd() {
        overtakeByEleven();

        assertThat(oracle.violation()).startsWith("sequence 0");
    }

    @Test
    void countsLongAnswersAsTheQueueDoes() {
        oracle.arrive(0, 1, 0);
        oracle.arrive(1, 1, 1_000_000);
        oracle.begin(1);
        oracle.begin(0);

        assertThat(oracle.longestWait()).isEqualTo(1026);
    }

    /// Who was cancelled while it waited may have waited for too much as well.
    @Test
    void looksAtThoseThatEndBeforeTheyBegin() {
        overtakeByEleven();
        oracle.end(0);

        assertThat(oracle.violation()).startsWith("sequence 0");
    }

    @Test
    void countsWhatWillComeLaterAsWorkThatWasThere() {
        oracle.announce(7, 100, 0);
        oracle.arrive(0, 1, 0);
        oracle.arrive(1, 1000, 9);
        oracle.begin(1);
        oracle.begin(0);

        assertThat(oracle.violation()).isEmpty();
    }
}
