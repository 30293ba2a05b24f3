package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class TokenCountsTest {

    @Test
    void countsGeneratedTokensBeyondItsFirstCapacity() {
        // given more distinct tokens than there is room for at first
        var counts = new TokenCounts();
        int distinct = 1000;

        // when each is generated twice
        for (int i = 0; i < 2 * distinct; i++) {
            counts.addGenerated(i % distinct * 131);
        }

        // then each is held once, in order, with its count
        assertThat(counts.size()).isEqualTo(distinct);
        for (int i = 0; i < distinct; i++) {
            assertThat(counts.token(i)).isEqualTo(i * 131);
            assertThat(counts.generated(i)).isEqualTo(2);
        }
    }
}
