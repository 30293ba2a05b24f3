package dev.sidewinder.engine.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DecodeBucketsTest {

    @Test
    void areOneTwoFourEightThenEveryEightSixteenAndThirtyTwo() {
        assertThat(DecodeBuckets.upTo(512)).containsExactly(1, 2, 4, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160,
                176, 192, 208, 224, 240, 256, 288, 320, 352, 384, 416, 448, 480, 512);
    }

    @ParameterizedTest
    @CsvSource({"1, 1", "2, 2", "3, 4", "5, 8", "8, 8", "9, 16", "64, 64", "65, 80", "256, 256", "257, 288", "513, 544"})
    void holdABatchWithTheFewestRows(int rows, int bucket) {
        assertThat(DecodeBuckets.of(rows)).isEqualTo(bucket);
        assertThat(DecodeBuckets.upTo(rows)).endsWith(bucket).isSorted().doesNotHaveDuplicates();
    }

    @Test
    void holdAtLeastOneRow() {
        assertThatIllegalArgumentException().isThrownBy(() -> DecodeBuckets.of(0)).withMessageContaining("0 rows");
    }
}
