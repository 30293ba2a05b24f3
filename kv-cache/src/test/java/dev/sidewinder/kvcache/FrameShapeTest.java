package dev.sidewinder.kvcache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FrameShapeTest {

    private static final long MIB = 1 << 20;

    /// The published 30B shape: 23 states of 64 x 64 x 128 in fp32 and their convolutions in bf16; 6 layers of keys and values.
    private static final long SLOT_BYTES = 23L * (64 * 64 * 128 * 4 + 6144 * 3 * 2);
    private static final long FP8_BLOCK_BYTES = 128 * 3072;
    private static final long BF16_BLOCK_BYTES = 2 * FP8_BLOCK_BYTES;

    @Test
    void makesAFrameOfAsFewBlocksAsHoldAState() {
        FrameShape fp8 = FrameShape.of(1000 * MIB, SLOT_BYTES, FP8_BLOCK_BYTES);
        FrameShape bf16 = FrameShape.of(1000 * MIB, SLOT_BYTES, BF16_BLOCK_BYTES);

        assertThat(fp8.blocksPerFrame()).isEqualTo(125);
        assertThat(bf16.blocksPerFrame()).isEqualTo(63);
        assertThat(fp8.blocksPerFrame() * FP8_BLOCK_BYTES).isBetween(SLOT_BYTES, SLOT_BYTES + FP8_BLOCK_BYTES - 1);
        assertThat(fp8.frames()).isEqualTo(21);
    }

    @ParameterizedTest(name = "{0} GiB free: {1} sessions of {2} tokens in bf16, {3} in fp8")
    @CsvSource({
        // Weights in BF16 on 80 and 141 GB, in FP8 on 80 and 141 GB: model specification, section 6.
        "15.17, 2, 1048576, 4", "15.17, 9, 262144, 19", "76.17, 49, 262144, 95",
        "43.56, 7, 1048576, 14", "43.56, 28, 262144, 54", "104.56, 17, 1048576, 34", "104.56, 67, 262144, 131",
        // NVFP4 on 80 GB.
        "55.99, 9, 1048576, 18", "55.99, 36, 262144, 70"})
    void holdsTheLongSessionsThatTheArithmeticOfTheModelAllows(double gibibytes, int bf16, int tokens, int fp8) {
        long bytes = (long) (gibibytes * 1024 * MIB);
        assertThat(FrameShape.of(bytes, SLOT_BYTES, BF16_BLOCK_BYTES).sequencesThatFit(tokens)).isEqualTo(bf16);
        assertThat(FrameShape.of(bytes, SLOT_BYTES, FP8_BLOCK_BYTES).sequencesThatFit(tokens)).isEqualTo(fp8);
    }

    @Test
    void losesASessionAtMostToTheFrameThatIsCutOff() {
        // given memory for 25.01 sessions of a million tokens, counted in bytes
        long bytes = (long) (76.17 * 1024 * MIB);
        long sessionBytes = SLOT_BYTES + 8192 * FP8_BLOCK_BYTES;
        assertThat(bytes / sessionBytes).isEqualTo(25);

        // then in whole frames a part of the last one is missing
        assertThat(FrameShape.of(bytes, SLOT_BYTES, FP8_BLOCK_BYTES).sequencesThatFit(1 << 20)).isEqualTo(24);
        assertThat(FrameShape.of(bytes + 125 * FP8_BLOCK_BYTES, SLOT_BYTES, FP8_BLOCK_BYTES).sequencesThatFit(1 << 20)).isEqualTo(25);
    }

    @ParameterizedTest(name = "{0} GiB free: {1} sessions of 8192 tokens in bf16, {2} in fp8")
    @CsvSource({"15.17, 163, 219", "43.56, 470, 630", "104.56, 1129, 1512", "116.99, 1263, 1691"})
    void losesLessThanAHundredthOfTheShortSessionsToRounding(double gibibytes, int bf16, int fp8) {
        long bytes = (long) (gibibytes * 1024 * MIB);
        assertThat(FrameShape.of(bytes, SLOT_BYTES, BF16_BLOCK_BYTES).sequencesThatFit(8192)).isBetween(bf16 * 99 / 100, bf16);
        assertThat(FrameShape.of(bytes, SLOT_BYTES, FP8_BLOCK_BYTES).sequencesThatFit(8192)).isBetween(fp8 * 99 / 100, fp8);
    }

    @Test
    void saysBothNumbersOfASequenceThatCanNeverFit() {
        FrameShape shape = new FrameShape(3, 4);

        assertThat(shape.mostTokens()).isEqualTo(2 * 4 * 128);
        assertThat(shape.neverFits(1024)).isEmpty();
        assertThat(shape.neverFits(1025)).hasValue(new FrameShape.NeverFits(1025, 1024));
        assertThat(shape.neverFits(1L << 40)).hasValue(new FrameShape.NeverFits(1L << 40, 1024));
    }

    @Test
    void keepsPositionsInsideAnIntHoweverMuchMemoryThereIs() {
        FrameShape shape = FrameShape.of(1L << 50, 1 << 10, 1 << 8);
        assertThat((long) shape.blocks() * CacheShape.BLOCK_TOKENS).isLessThanOrEqualTo(Integer.MAX_VALUE);
        assertThatIllegalArgumentException().isThrownBy(() -> new FrameShape(1 << 24, 1));
    }

    @Test
    void cutsMemoryOfModelsWithoutRecurrenceAndWithoutAttention() {
        assertThat(FrameShape.of(100, 0, 10)).isEqualTo(new FrameShape(10, 1));
        FrameShape recurrent = FrameShape.of(1000, 100, 0);
        assertThat(recurrent.frames()).isEqualTo(10);
        assertThat(recurrent.mostTokens()).isGreaterThan(1 << 20);
    }

    @Test
    void refusesMemoryTooSmallForOneSequence() {
        assertThatIllegalArgumentException().isThrownBy(() -> FrameShape.of(199, 100, 10)).withMessageContaining("199")
                .withMessageContaining("100");
        assertThatIllegalArgumentException().isThrownBy(() -> new FrameShape(1, 8));
        assertThatIllegalArgumentException().isThrownBy(() -> new FrameShape(2, 0));
        assertThatIllegalArgumentException().isThrownBy(() -> FrameShape.of(100, 0, 0));
        assertThatIllegalArgumentException().isThrownBy(() -> FrameShape.of(-1, 1, 1));
    }
}
