package dev.sidewinder.model.config;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.model.config.CacheFootprint.Types;
import dev.sidewinder.model.synthetic.ShapeSpec;
import dev.sidewinder.model.synthetic.SyntheticModel;
import dev.sidewinder.model.synthetic.WeightFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The published sizes of the family's caches.
class CacheFootprintTest {

    private static final Types FP32_BF16 = new Types(4, 2, 2);
    private static final long GIB = 1L << 30;

    @ParameterizedTest
    @CsvSource({
            "nano-30b, 12058624, 6144", "lightning-30b, 12058624, 6144", "super-120b, 41943040, 8192",
            "nano-9b-v2, 35389440, 16384", "nano-12b-v2, 36700160, 24576", "nemotron-h-8b, 25165824, 16384",
            "nano-4b, 20643840, 16384"})
    void countsStateAndKeysOfThePublishedShapes(String shape, long stateElements, long kvBytesPerToken) {
        CacheFootprint footprint = footprint(shape);

        assertThat(footprint.stateElements()).isEqualTo(stateElements);
        assertThat(footprint.kvBytesPerToken(FP32_BF16)).isEqualTo(kvBytesPerToken);
        assertThat(footprint.kvBytesPerToken(new Types(4, 2, 1))).isEqualTo(kvBytesPerToken / 2);
    }

    @Test
    void addsTheConvolutionWindowToTheState() {
        // 23 layers, 6144 channels, 3 tokens of history
        assertThat(footprint("nano-30b").convElements()).isEqualTo(23 * 6144 * 3);
        assertThat(footprint("nano-30b").stateBytes(FP32_BF16)).isEqualTo(12_058_624 * 4 + 23 * 6144 * 3 * 2);
    }

    /// Sequences that fit beside BF16 weights (58.83 GiB) and 4 GiB of reserve on a card with 78 GiB.
    @ParameterizedTest
    @CsvSource({"1048576, 2, 2", "1048576, 1, 4", "262144, 2, 9", "262144, 1, 19", "8192, 2, 163", "8192, 1, 219"})
    void tellsHowManySequencesFit(long tokens, int kvBytes, long expected) {
        long free = (long) ((78 - 4 - 58.83) * GIB);

        assertThat(footprint("nano-30b").sequencesThatFit(free, tokens, new Types(4, 2, kvBytes))).isEqualTo(expected);
    }

    @Test
    void countsWholeBlocksOnly() {
        CacheFootprint footprint = footprint("nano-30b");
        long state = footprint.stateBytes(FP32_BF16);

        assertThat(footprint.sequenceBytes(1, FP32_BF16)).isEqualTo(state + 128 * 6144);
        assertThat(footprint.sequenceBytes(128, FP32_BF16)).isEqualTo(state + 128 * 6144);
        assertThat(footprint.sequenceBytes(129, FP32_BF16)).isEqualTo(state + 256 * 6144);
        assertThat(footprint.sequencesThatFit(-1, 1, FP32_BF16)).isZero();
    }

    private static CacheFootprint footprint(String shape) {
        return CacheFootprint.of(new SyntheticModel(ShapeSpec.parse(shape), WeightFormat.BF16, 0).config());
    }
}
