package dev.sidewinder.engine.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class WeightSourceTest {

    /// Every code but the two NaNs, in every place of a word of 8.
    @Test
    void seesANaNAmongE4m3CodesAndNothingElse() {
        try (Arena arena = Arena.ofConfined()) {
            for (int length : new int[] {1, 7, 8, 9, 64, 67}) {
                MemorySegment codes = arena.allocate(length);
                for (int at = 0; at < length; at++) {
                    for (int code = 0; code < 256; code++) {
                        codes.fill((byte) 0xFE);
                        codes.set(ValueLayout.JAVA_BYTE, at, (byte) code);
                        assertThat(WeightSource.E4m3.hasNaN(codes)).as("code %d at %d of %d", code, at, length)
                                .isEqualTo((code & 0x7F) == 0x7F);
                    }
                }
            }
        }
    }

    @Test
    void namesTheTensorWithADamagedWeight() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment codes = arena.allocate(4 * 16);
            codes.set(ValueLayout.JAVA_BYTE, 2 * 16 + 5, (byte) 0xFF);
            var tensor = new TensorView("layers.3.up", DType.F8_E4M3, List.of(4L, 16L), codes);
            var weight = new LinearWeight.Fp8(tensor, 0, 4, 16, 1, Float.NaN);
            var source = (WeightSource.OnHost) WeightPlacement.codes(weight);

            source.write(0, arena.allocate(2 * 16));
            assertThatThrownBy(() -> source.write(16, arena.allocate(3 * 16)))
                    .isInstanceOf(CheckpointException.class).hasMessageContaining("layers.3.up").hasMessageContaining("row 2, column 5");
        }
    }

    @Test
    void roundsFormatsThatNoKernelTakesToBf16InAnyPieces() {
        try (Arena arena = Arena.ofConfined()) {
            // given a matrix in fp32, of which the first row belongs to another one
            var random = new Random(1);
            MemorySegment data = arena.allocate(4 * 5 * 6);
            for (int i = 0; i < 30; i++) {
                data.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
            }
            var weight = new LinearWeight.Plain(new TensorView("w", DType.F32, List.of(5L, 6L), data), 6, 4, 6);
            var source = (WeightSource.OnHost) WeightPlacement.codes(weight);
            assertThat(source.bytes()).isEqualTo(2 * 4 * 6);

            // when rows 1 and 2 are asked for
            MemorySegment part = arena.allocate(2 * 2 * 6);
            source.write(2 * 6, part);

            // then they are the nearest bf16 values
            for (int i = 0; i < 12; i++) {
                float exact = data.getAtIndex(ValueLayout.JAVA_FLOAT, 12 + i);
                float rounded = Float.intBitsToFloat(part.getAtIndex(ValueLayout.JAVA_SHORT, i) << 16);
                assertThat(Math.abs(rounded - exact)).isLessThanOrEqualTo(Math.abs(exact) / 256);
            }
        }
    }
}
