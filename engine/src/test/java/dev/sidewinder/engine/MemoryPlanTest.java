package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.config.CacheFootprint;
import org.junit.jupiter.api.Test;

class MemoryPlanTest {

    /// State 4,000 bytes a sequence, 128 x 16 = 2,048 bytes a block.
    private static final CacheFootprint FOOTPRINT = new CacheFootprint(900, 100, 8);
    private static final CacheFootprint.Types TYPES = new CacheFootprint.Types(4, 4, 2);

    @Test
    void givesEverySlotTheBlocksOfTheLongestSequenceWhenThereIsRoom() {
        MemoryPlan plan = MemoryPlan.of(FOOTPRINT, TYPES, 1_000_000, 4, 256, 1000);
        assertThat(plan).isEqualTo(new MemoryPlan(new CacheShape(32, 4), 1000, 2048, 4000));
        assertThat(plan.bytes()).isEqualTo(32 * 2048 + 4 * 4000);
    }

    @Test
    void givesTheRestOfTheMemoryToBlocksWhenThereIsLess() {
        MemoryPlan plan = MemoryPlan.of(FOOTPRINT, TYPES, 50_000, 4, 256, 10_000);
        assertThat(plan.shape()).isEqualTo(new CacheShape((50_000 - 16_000) / 2048, 4));
        assertThat(plan.maxModelTokens()).as("one sequence may have all blocks").isEqualTo(16 * 128);
        assertThat(plan.bytes()).isLessThanOrEqualTo(50_000);
    }

    @Test
    void choosesSlotsForHalfOfTheMemory() {
        assertThat(MemoryPlan.of(FOOTPRINT, TYPES, 100_000, 0, 256, 1000).shape().slots()).isEqualTo(12);
        assertThat(MemoryPlan.of(FOOTPRINT, TYPES, 100_000_000, 0, 256, 1000).shape().slots()).isEqualTo(256);
        assertThat(MemoryPlan.of(FOOTPRINT, TYPES, 7_000, 0, 256, 1000).shape()).as("one at least").isEqualTo(new CacheShape(1, 1));
    }

    @Test
    void saysHowManySequencesOfALengthFit() {
        MemoryPlan plan = MemoryPlan.of(FOOTPRINT, TYPES, 50_000, 4, 256, 10_000);
        assertThat(plan.sequencesThatFit(1)).isEqualTo(4);
        assertThat(plan.sequencesThatFit(4 * 128)).isEqualTo(4);
        assertThat(plan.sequencesThatFit(4 * 128 + 1)).isEqualTo(3);
        assertThat(plan.sequencesThatFit(16 * 128)).isEqualTo(1);
        assertThat(plan.sequencesThatFit(16 * 128 + 1)).isZero();
    }

    @Test
    void plansForModelsWithoutAttentionAndWithoutRecurrence() {
        MemoryPlan recurrent = MemoryPlan.of(new CacheFootprint(1000, 0, 0), TYPES, 100_000, 0, 256, 1 << 20);
        assertThat(recurrent.shape()).isEqualTo(new CacheShape(12 * 8192, 12));
        MemoryPlan attention = MemoryPlan.of(new CacheFootprint(0, 0, 8), TYPES, 100_000, 0, 8, 1000);
        assertThat(attention.shape()).isEqualTo(new CacheShape(48, 8));
    }

    @Test
    void refusesMemoryThatHoldsNothingAndNamesTheNumbers() {
        assertThatIllegalArgumentException().isThrownBy(() -> MemoryPlan.of(FOOTPRINT, TYPES, 16_000, 4, 256, 1000))
                .withMessageContaining("16000").withMessageContaining("2048");
        assertThatIllegalArgumentException().isThrownBy(() -> MemoryPlan.of(FOOTPRINT, TYPES, 1000, 4, 256, 1000));
    }

    @Test
    void holdsTheMillionTokenSequencesOfTheRealModel() {
        // Nano: 23 Mamba layers of 64 x 64 x 128, convolutions of 6144 x 3, 6 attention layers of 2 x 128
        var nano = new CacheFootprint(23L * 64 * 64 * 128, 23L * 6144 * 3, 6L * 2 * 2 * 128);
        MemoryPlan plan = MemoryPlan.of(nano, new CacheFootprint.Types(4, 4, 2), 64L << 30, 8, 256, 1 << 20);
        assertThat(plan.blockBytes()).isEqualTo(768 << 10);
        assertThat(plan.shape().blocks()).isEqualTo(8 * 8192);
        assertThat(plan.maxModelTokens()).isEqualTo(1 << 20);
    }
}
