package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.sidewinder.engine.MemoryPlan.Wish;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MemoryPlanTest {

    private static final long STATE = 4000;
    /// Two of them hold a state, with 96 bytes to spare.
    private static final long BLOCK = 2048;

    private static final long MIB = 1L << 20;
    private static final double GIB = 1L << 30;
    /// Nano: 23 Mamba layers of 64 x 64 x 128 in fp32, convolutions of 6144 x 3 in 16 bit; 6 attention layers of 2 x 128.
    private static final long NANO_STATE = 23L * 64 * 64 * 128 * 4 + 23L * 6144 * 3 * 2;
    private static final long NANO_BF16_BLOCK = 768 << 10;
    private static final int MILLION = 1 << 20;

    @Test
    void cutsMemoryIntoFramesThatHoldAStateOrBlocks() {
        MemoryPlan plan = MemoryPlan.of(STATE, BLOCK, new Wish(100_000, 0, 4, 256, 1000));

        assertThat(plan.frames()).isEqualTo(new FrameShape(24, 2));
        assertThat(plan.frameBytes()).isEqualTo(4096);
        assertThat(plan.wastedStateBytes()).isEqualTo(96);
        assertThat(plan.bytes()).isEqualTo(24 * 4096);
        assertThat(plan.maxSequences()).isEqualTo(4);
        assertThat(plan.maxModelTokens()).isEqualTo(1000);
        assertThat(plan.memory().host()).isEqualTo(HostShape.NONE);
    }

    @Test
    void letsOneSequenceHaveAllFramesButTheOneOfItsState() {
        MemoryPlan plan = MemoryPlan.of(STATE, BLOCK, new Wish(50_000, 0, 0, 256, 100_000));
        assertThat(plan.frames().frames()).isEqualTo(12);
        assertThat(plan.maxModelTokens()).isEqualTo(11 * 2 * 128);
    }

    @Test
    void runsAsManySequencesAsHaveAStateAndABlock() {
        // 12 frames are 24 blocks; a sequence takes two for its state and one for its tokens
        assertThat(MemoryPlan.of(STATE, BLOCK, new Wish(50_000, 0, 0, 256, 1000)).maxSequences()).isEqualTo(8);
        assertThat(MemoryPlan.of(STATE, BLOCK, new Wish(50_000, 0, 0, 5, 1000)).maxSequences()).isEqualTo(5);
        assertThat(MemoryPlan.of(STATE, BLOCK, new Wish(50_000, 0, 8, 5, 1000)).maxSequences()).isEqualTo(8);
    }

    @Test
    void saysHowManySequencesOfALengthFit() {
        MemoryPlan plan = MemoryPlan.of(STATE, BLOCK, new Wish(50_000, 0, 6, 256, 10_000));
        assertThat(plan.sequencesThatFit(1)).as("no more than may run").isEqualTo(6);
        assertThat(plan.sequencesThatFit(2 * 128)).isEqualTo(6);
        assertThat(plan.sequencesThatFit(2 * 128 + 1)).isEqualTo(4);
        assertThat(plan.sequencesThatFit(22 * 128)).isEqualTo(1);
        assertThat(plan.sequencesThatFit(22 * 128 + 1)).isZero();
    }

    @Test
    void whatItPromisesFitsWhateverTheSizes() {
        long seed = new Random().nextLong();
        System.out.println("MemoryPlanTest seed " + seed);
        var random = new Random(seed);
        for (int i = 0; i < 1000; i++) {
            long state = random.nextInt(4) == 0 ? 0 : 1 + random.nextInt(1 << 20);
            long block = state > 0 && random.nextInt(4) == 0 ? 0 : 1 + random.nextInt(1 << 20);
            long bytes = 4 * (state + block) + random.nextInt(1 << 28);
            long host = random.nextInt(1 << 26);
            MemoryPlan plan = MemoryPlan.of(state, block, new Wish(bytes, host, 0, 1 + random.nextInt(300), 1 + random.nextInt(1 << 20)));
            assertThat(plan.bytes()).isLessThanOrEqualTo(bytes);
            assertThat(plan.hostBytes()).isLessThanOrEqualTo(host);
            assertThat(plan.wastedStateBytes()).isBetween(0L, Math.max(0, block));
            assertThat(plan.sequencesThatFit(plan.maxModelTokens())).isPositive();
            assertThat(plan.frames().neverFits(plan.maxModelTokens())).isEmpty();
            int sequences = plan.sequencesThatFit(1000);
            assertThat(sequences * (plan.frameBytes() + 8 * block)).isLessThanOrEqualTo(plan.bytes());
        }
    }

    @Test
    void plansForModelsWithoutAttentionAndWithoutRecurrence() {
        MemoryPlan recurrent = MemoryPlan.of(4000, 0, new Wish(100_000, 10_000, 0, 256, MILLION));
        assertThat(recurrent.frames().frames()).isEqualTo(25);
        assertThat(recurrent.memory().host().states()).isEqualTo(1);
        assertThat(recurrent.memory().host().blocks()).isGreaterThanOrEqualTo(MILLION / 128);
        MemoryPlan attention = MemoryPlan.of(0, BLOCK, new Wish(100_000, 10_000, 0, 8, 1000));
        assertThat(attention.frames()).isEqualTo(new FrameShape(48, 1));
        assertThat(attention.memory().host().blocks()).isEqualTo(4);
    }

    @Test
    void plansTheHostAreaForManyShortSequencesOrOneLong() {
        MemoryPlan plan = MemoryPlan.of(STATE, BLOCK, new Wish(100_000, 40_000, 0, 256, 1000));
        assertThat(plan.memory().host()).isEqualTo(new HostShape(5, (40_000 - 5 * 4000) / 2048, (48 << 20) / 2048));
        assertThat(plan.hostBytes()).isLessThanOrEqualTo(40_000);
        assertThat(MemoryPlan.of(STATE, BLOCK, new Wish(100_000, STATE + BLOCK - 1, 0, 256, 1000)).memory().host())
                .as("not even one").isEqualTo(HostShape.NONE);
    }

    @Test
    void refusesMemoryThatHoldsNothingAndNamesTheNumbers() {
        assertThatIllegalArgumentException().isThrownBy(() -> MemoryPlan.of(STATE, BLOCK, new Wish(16_000, 0, 4, 256, 1000)))
                .withMessageContaining("16000").withMessageContaining("4 sequences").withMessageContaining("room for 2");
        assertThatIllegalArgumentException().isThrownBy(() -> MemoryPlan.of(STATE, BLOCK, new Wish(8191, 0, 0, 256, 1000)))
                .withMessageContaining("8191").withMessageContaining("4096");
    }

    /// The sums of the model, sessions of a million, a quarter million and 8,192 tokens. They count bytes; a frame of 63 or 125
    /// blocks loses up to 1 % with each state, which shows where sessions are short and many.
    @ParameterizedTest(name = "{0} GiB free, {1} bytes a block")
    @CsvSource({
        "15.2,  786432,  2,  9,  163",
        "15.2,  393216,  4, 19,  219",
        "76.2,  786432, 12, 49,  822",
        "76.2,  393216, 25, 95, 1101",
        "43.6,  786432,  7, 28,  470",
        "43.6,  393216, 14, 54,  630",
        "104.6, 786432, 17, 67, 1129",
        "104.6, 393216, 34, 131, 1512",
        "56.0,  786432,  9, 36,  604",
        "56.0,  393216, 18, 70,  809",
        "117.0, 786432, 19, 75, 1263",
        "117.0, 393216, 38, 147, 1691",
    })
    void holdsTheSessionsOfTheRealModel(double freeGib, long blockBytes, int million, int quarter, int few) {
        MemoryPlan plan = MemoryPlan.of(NANO_STATE, blockBytes, new Wish((long) (freeGib * GIB), 0, 0, 4096, MILLION));

        assertThat(plan.wastedStateBytes()).isLessThan(plan.slotBytes() / 100);
        assertThat(plan.maxModelTokens()).isEqualTo(MILLION);
        assertThat(plan.sequencesThatFit(MILLION)).isEqualTo(million);
        assertThat(plan.sequencesThatFit(1 << 18)).isBetween(quarter - 1, quarter);
        assertThat(plan.sequencesThatFit(1 << 13)).isBetween((int) (few * 0.99), few);
    }

    @Test
    void tellsAnOperatorInThreeLines() {
        MemoryPlan plan = MemoryPlan.of(NANO_STATE, NANO_BF16_BLOCK / 2, new Wish((long) (43.6 * GIB), 8L << 30, 0, 256, MILLION));
        assertThat(plan.lines()).containsExactly(
                "952 frames of 46.9 MiB, each a state (46.8 MiB, 0.1 MiB of the frame unused) or 125 blocks of 128 tokens: 44,625 MiB",
                "host area for 87 suspended sequences with 10,985 blocks together: 8,192 MiB",
                "sequences that fit: 256 of 1,024 tokens, 256 of 8,192 tokens, 256 of 32,768 tokens, 54 of 262,144 tokens, "
                        + "14 of 1,048,576 tokens");
    }

    @Test
    void takesAQuarterOfTheMachineAndNoMoreThanSixteenMillionTokensUnasked() {
        assertThat(MemoryPlan.defaultBytes(64 * MIB, STATE, BLOCK)).isEqualTo(16 * MIB);
        assertThat(MemoryPlan.defaultBytes(1L << 40, STATE, BLOCK)).isEqualTo((1L << 17) * BLOCK);
        assertThat(MemoryPlan.defaultBytes(1L << 40, NANO_STATE, NANO_BF16_BLOCK)).isEqualTo((1L << 17) * NANO_BF16_BLOCK);
    }
}
