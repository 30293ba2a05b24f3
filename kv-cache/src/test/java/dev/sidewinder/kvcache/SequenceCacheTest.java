package dev.sidewinder.kvcache;

import static dev.sidewinder.kvcache.CacheShape.BLOCK_TOKENS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SequenceCacheTest {

    private final SequenceCache cache = new SequenceCache(new CacheShape(4, 2));

    @ParameterizedTest
    @CsvSource({"1, 1", "127, 1", "128, 1", "129, 2", "255, 2", "256, 2", "257, 3"})
    void promisesBlocksForEveryTokenOfTheSequence(int tokens, int blocks) {
        cache.admit(tokens).orElseThrow();
        assertThat(cache.blocks().promised()).isEqualTo(blocks);
        assertThat(cache.blocks().available()).isEqualTo(4 - blocks);
        cache.checkInvariants();
    }

    @Test
    void takesBlocksAsTheSequenceGrowsIntoThem() {
        SequenceAllocation allocation = cache.admit(3 * BLOCK_TOKENS).orElseThrow();
        assertThat(allocation.blockCount()).isZero();

        assertThat(allocation.reserve(1)).isEqualTo(Growth.GRANTED);
        assertThat(allocation.blockCount()).isEqualTo(1);
        assertThat(allocation.reserve(BLOCK_TOKENS)).isEqualTo(Growth.GRANTED);
        assertThat(allocation.blockCount()).isEqualTo(1);
        assertThat(allocation.reserve(BLOCK_TOKENS + 1)).isEqualTo(Growth.GRANTED);
        assertThat(allocation.blockCount()).isEqualTo(2);

        assertThat(allocation.promisedBlocks()).isEqualTo(1);
        assertThat(cache.blocks().free()).isEqualTo(2);
        cache.checkInvariants();
    }

    @Test
    void waitsWhenBlocksArePromisedToOthers() {
        cache.admit(3 * BLOCK_TOKENS).orElseThrow();
        assertThat(cache.blocks().free()).as("nothing is taken yet").isEqualTo(4);
        assertThat(cache.admit(2 * BLOCK_TOKENS)).isEmpty();
        assertThat(cache.admit(BLOCK_TOKENS)).isPresent();
    }

    @Test
    void waitsWhenEverySlotIsTaken() {
        cache.admit(1).orElseThrow();
        cache.admit(1).orElseThrow();
        assertThat(cache.admit(1)).isEmpty();
        assertThat(cache.blocks().promised()).as("a refusal promises nothing").isEqualTo(2);
    }

    @Test
    void growsBeyondItsPromiseOnlyIntoBlocksThatNobodyIsPromised() {
        SequenceAllocation first = cache.admit(BLOCK_TOKENS).orElseThrow();
        SequenceAllocation second = cache.admit(2 * BLOCK_TOKENS).orElseThrow();

        assertThat(first.reserve(2 * BLOCK_TOKENS)).isEqualTo(Growth.GRANTED);
        assertThat(first.reserve(2 * BLOCK_TOKENS + 1)).isEqualTo(Growth.NO_ROOM);
        assertThat(first.blockCount()).isEqualTo(2);
        assertThat(second.reserve(2 * BLOCK_TOKENS)).isEqualTo(Growth.GRANTED);
        cache.checkInvariants();
    }

    @Test
    void givesEverythingBackAtOnceWhenNoStepIsUnderWay() {
        SequenceAllocation allocation = cache.admit(4 * BLOCK_TOKENS).orElseThrow();
        allocation.reserve(2 * BLOCK_TOKENS);
        allocation.close();

        assertThat(cache.blocks().available()).isEqualTo(4);
        assertThat(cache.slots().free()).isEqualTo(2);
        assertThat(cache.allocations()).isZero();
        cache.checkInvariants();
    }

    @Test
    void keepsMemoryFencedUntilTheLastLaunchedStepHasCompleted() {
        SequenceAllocation allocation = cache.admit(4 * BLOCK_TOKENS).orElseThrow();
        allocation.reserve(4 * BLOCK_TOKENS);
        cache.stepLaunched(1);
        cache.stepLaunched(2);
        allocation.close();

        assertThat(cache.blocks().fenced()).isEqualTo(4);
        assertThat(cache.slots().fenced()).isEqualTo(1);
        assertThat(cache.admit(1)).as("the other slot is free, no block is").isEmpty();
        cache.stepCompleted(1);
        assertThat(cache.blocks().fenced()).as("step 2 may still touch them").isEqualTo(4);
        cache.stepCompleted(2);
        assertThat(cache.blocks().free()).isEqualTo(4);
        assertThat(cache.slots().free()).isEqualTo(2);
        cache.checkInvariants();
    }

    @Test
    void refusesToCloseTwice() {
        SequenceAllocation allocation = cache.admit(1).orElseThrow();
        allocation.close();
        assertThatIllegalStateException().isThrownBy(allocation::close).withMessageContaining("closed twice");
        assertThatIllegalStateException().isThrownBy(() -> allocation.reserve(1));
        cache.checkInvariants();
    }

    @Test
    void refusesStepsOutOfOrder() {
        cache.stepLaunched(3);
        assertThatIllegalStateException().isThrownBy(() -> cache.stepLaunched(3));
        assertThatIllegalStateException().isThrownBy(() -> cache.stepCompleted(4));
        cache.stepCompleted(3);
        assertThatIllegalStateException().isThrownBy(() -> cache.stepCompleted(3));
    }

    @Test
    void holdsASequenceOfAMillionTokens() {
        SequenceCache large = new SequenceCache(new CacheShape(8192, 1));
        SequenceAllocation allocation = large.admit(1 << 20).orElseThrow();
        for (int tokens = 1; tokens <= 1 << 20; tokens += BLOCK_TOKENS) {
            assertThat(allocation.reserve(tokens)).isEqualTo(Growth.GRANTED);
        }
        assertThat(allocation.blockCount()).isEqualTo(8192);
        Set<Integer> distinct = new HashSet<>();
        for (int i = 0; i < 8192; i++) {
            distinct.add(allocation.block(i));
        }
        assertThat(distinct).hasSize(8192);
        allocation.close();
        assertThat(large.blocks().free()).isEqualTo(8192);
        large.checkInvariants();
    }
}
