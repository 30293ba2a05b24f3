package dev.sidewinder.model.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Rows of every number format as floats, against values computed in double from the definitions.
class WeightReaderTest {

    private static final long SEED = 20260105;

    private final Random random = new Random(SEED);
    private final WeightReader reader = new WeightReader();

    @ParameterizedTest
    @ValueSource(ints = {1, 15, 16, 17, 127, 128, 2688})
    void readsPlainRowsOfEveryType(int columns) {
        int rows = 3;
        MemorySegment bf16 = segment(2 + rows * columns * 2L);
        MemorySegment f16 = segment(2 + rows * columns * 2L);
        MemorySegment f32 = segment(4 + rows * columns * 4L);
        float[][] expected = new float[3][rows * columns];
        for (int i = 0; i < rows * columns; i++) {
            short half = Float.floatToFloat16((float) random.nextGaussian());
            short brain = Bf16.encode((float) random.nextGaussian() * 1e10f);
            float single = (float) random.nextGaussian();
            setShort(bf16, 1 + i, brain);
            setShort(f16, 1 + i, half);
            f32.set(ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 4 + 4L * i, single);
            expected[0][i] = Float.intBitsToFloat(brain << 16);
            expected[1][i] = Float.float16ToFloat(half);
            expected[2][i] = single;
        }
        // the matrix begins at element 1 of its tensor, as a slice of fused experts does
        List<LinearWeight> weights = List.of(plain(DType.BF16, bf16, rows, columns), plain(DType.F16, f16, rows, columns),
                plain(DType.F32, f32, rows, columns));

        for (int w = 0; w < weights.size(); w++) {
            float[] found = new float[rows * columns + 5];
            for (int row = rows - 1; row >= 0; row--) {
                reader.readRow(weights.get(w), row, found, 5 + row * columns);
            }
            assertThat(Arrays.copyOfRange(found, 5, found.length)).as("seed %d", SEED).isEqualTo(expected[w]);
            assertThat(Arrays.copyOf(found, 5)).containsOnly(0f);
        }
    }

    @Test
    void readsFp8RowsTimesTheirScale() {
        byte[] codes = new byte[256 * 2];
        for (int i = 0; i < codes.length; i++) {
            codes[i] = E4m3.isNaN((byte) i) ? 0 : (byte) i;
        }
        var tensor = new TensorView("w", DType.F8_E4M3, List.of(2L, 256L), MemorySegment.ofArray(codes));
        float[] row = new float[256];
        reader.readRow(new LinearWeight.Fp8(tensor, 0, 2, 256, 0.5f, Float.NaN), 1, row, 0);

        for (int code = 0; code < 256; code++) {
            assertThat((Float) row[code]).isEqualTo((Float) (E4m3.decode(codes[code]) * 0.5f));
        }
    }

    /// Every code at every place of a row, sizes around those of vectors: NaN is refused there, and nothing else is.
    @ParameterizedTest
    @ValueSource(ints = {1, 15, 16, 17, 63, 64, 65, 127})
    void refusesNaNAmongFp8Weights(int columns) {
        byte[] codes = new byte[3 * columns];
        random.nextBytes(codes);
        for (int i = 0; i < codes.length; i++) {
            codes[i] = E4m3.isNaN(codes[i]) ? 0x7E : codes[i];
        }
        var tensor = new TensorView("layers.1.w", DType.F8_E4M3, List.of(3L, (long) columns), MemorySegment.ofArray(codes));
        var weight = new LinearWeight.Fp8(tensor, columns, 2, columns, 1, Float.NaN);
        float[] values = new float[columns];
        for (int at = 0; at < columns; at++) {
            int column = at;
            byte before = codes[2 * columns + at];
            for (int code : new int[] {0x7F, 0xFF}) {
                codes[2 * columns + at] = (byte) code;

                reader.readRow(weight, 0, values, 0);
                assertThatThrownBy(() -> reader.readRow(weight, 1, values, 0)).as("seed %d", SEED)
                        .isInstanceOf(CheckpointException.class).hasMessage(String.format(
                                "tensor \"layers.1.w\" has the FP8 weight NaN (code 0x%x) at element %d, row 1, column %d; "
                                        + "the file is damaged", code, 2 * columns + column, column));
            }
            codes[2 * columns + at] = before;
            reader.readRow(weight, 1, values, 0);
        }
    }

    /// A row written out by hand: the even column is the low nibble, and both scales multiply.
    @Test
    void readsNvfp4RowsByNibbleAndScale() {
        byte[] codes = new byte[16];
        Arrays.fill(codes, (byte) 0x00);
        codes[0] = (byte) 0x71;  // columns 0 and 1: 0.5 and 6
        codes[7] = (byte) 0xA0;  // columns 14 and 15: 0 and -1
        codes[8] = (byte) 0x02;  // columns 16 and 17: 1 and 0
        byte[] scales = {E4m3.encode(2), E4m3.encode(448)};

        float[] row = new float[32];
        reader.readRow(nvfp4(codes, scales, 1, 32, 0.25f), 0, row, 0);

        float[] expected = new float[32];
        expected[0] = 0.5f * 2 * 0.25f;
        expected[1] = 6 * 2 * 0.25f;
        expected[15] = -1 * 2 * 0.25f;
        expected[16] = 1 * 448 * 0.25f;
        assertThat(row).isEqualTo(expected);
    }

    @Test
    void readsNvfp4LikeTheFormulaInDouble() {
        int rows = 5;
        int columns = 16 * 13;
        byte[] codes = bytes(rows * columns / 2);
        byte[] scales = finiteScales(rows * columns / 16);
        float global = 0.0173f;
        LinearWeight weight = nvfp4(codes, scales, rows, columns, global);

        for (int row = 0; row < rows; row++) {
            float[] found = new float[columns];
            reader.readRow(weight, row, found, 0);
            for (int column = 0; column < columns; column++) {
                assertThat(found[column]).as("seed %d, row %d, column %d", SEED, row, column)
                        .isEqualTo(formula(codes, scales, global, columns, row, column));
            }
        }
    }

    /// Each way to read NVFP4 wrongly must show: the comparison above would catch it.
    @Test
    void differsFromEveryWrongReadingOfNvfp4() {
        int columns = 64;
        byte[] codes = bytes(columns / 2);
        byte[] scales = finiteScales(columns / 16);
        float global = 0.5f;
        float[] right = new float[columns];
        reader.readRow(nvfp4(codes, scales, 1, columns, global), 0, right, 0);

        byte[] swapped = codes.clone();
        for (int i = 0; i < swapped.length; i++) {
            swapped[i] = (byte) (codes[i] << 4 | codes[i] >> 4 & 15);
        }
        byte[] reversed = scales.clone();
        for (int i = 0; i < scales.length; i++) {
            reversed[i] = scales[scales.length - 1 - i];
        }
        byte[] inverted = scales.clone();
        for (int i = 0; i < scales.length; i++) {
            inverted[i] = E4m3.encode(1 / E4m3.decode(scales[i]));
        }
        List<LinearWeight> wrong = List.of(nvfp4(swapped, scales, 1, columns, global),
                nvfp4(codes, reversed, 1, columns, global), nvfp4(codes, inverted, 1, columns, global),
                nvfp4(codes, scales, 1, columns, 1), nvfp4(codes, scales, 1, columns, 1 / global));
        for (LinearWeight weight : wrong) {
            float[] found = new float[columns];
            reader.readRow(weight, 0, found, 0);
            double difference = 0;
            double norm = 0;
            for (int i = 0; i < columns; i++) {
                difference += Math.pow(found[i] - right[i], 2);
                norm += Math.pow(right[i], 2);
            }
            assertThat(Math.sqrt(difference / norm)).isGreaterThan(0.3);
        }
    }

    @Test
    void encodesNvfp4WithinHalfAStep() {
        int columns = 16 * 200;
        float[] row = new float[columns];
        float largest = 0;
        for (int i = 0; i < columns; i++) {
            row[i] = (float) (random.nextGaussian() * Math.pow(10, random.nextInt(3) - 1));
            largest = Math.max(largest, Math.abs(row[i]));
        }
        Arrays.fill(row, 32, 48, 0);
        float global = Nvfp4.globalScale(largest);
        byte[] codes = new byte[columns / 2];
        byte[] scales = new byte[columns / 16];
        for (int block = 0; block < columns; block += 16) {
            scales[block / 16] = Nvfp4.encodeScale(row, block, global);
            Nvfp4.encodeBlock(row, block, scales[block / 16], global, codes, block / 2);
        }

        float[] found = new float[columns];
        reader.readRow(nvfp4(codes, scales, 1, columns, global), 0, found, 0);
        for (int i = 0; i < columns; i++) {
            double step = E4m3.decode(scales[i / 16]) * global;
            // the widest gap between codes is 2 steps; a scale rounded down cuts at most 1/16 of the largest off
            assertThat(Math.abs(found[i] - row[i])).as("seed %d, column %d", SEED, i).isLessThanOrEqualTo((float) (1.001 * step));
        }
        assertThat(Arrays.copyOfRange(found, 32, 48)).containsOnly(0f);
    }

    @Test
    void refusesNaNAmongBlockScales() {
        byte[] scales = finiteScales(6);
        scales[4] = (byte) 0xFF;
        LinearWeight weight = nvfp4(new byte[48], scales, 2, 48, 1);

        reader.readRow(weight, 0, new float[48], 0);
        assertThatThrownBy(() -> reader.readRow(weight, 1, new float[48], 0)).isInstanceOf(CheckpointException.class)
                .hasMessage("tensor \"w.weight_scale\" has the scale NaN at row 1, block 1");
    }

    @Test
    void refusesRowsOutsideTheMatrix() {
        LinearWeight weight = nvfp4(new byte[16], new byte[2], 2, 16, 1);

        assertThatThrownBy(() -> reader.readRow(weight, 2, new float[16], 0))
                .isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> reader.readRow(weight, -1, new float[16], 0))
                .isInstanceOf(IndexOutOfBoundsException.class);
    }

    private static float formula(byte[] codes, byte[] scales, float global, int columns, int row, int column) {
        float[] e2m1 = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
        int pair = codes[(row * columns + column) / 2] & 0xFF;
        int code = column % 2 == 0 ? pair % 16 : pair / 16;
        double magnitude = (double) e2m1[code % 8] * E4m3.decode(scales[(row * columns + column) / 16]) * global;
        return (float) (code < 8 ? magnitude : -magnitude);
    }

    private static LinearWeight nvfp4(byte[] codes, byte[] scales, int rows, int columns, float global) {
        return new LinearWeight.Nvfp4(
                new TensorView("w.weight", DType.U8, List.of((long) rows, columns / 2L), MemorySegment.ofArray(codes)),
                new TensorView("w.weight_scale", DType.F8_E4M3, List.of((long) rows, columns / 16L),
                        MemorySegment.ofArray(scales)),
                rows, columns, global, Float.NaN);
    }

    private static LinearWeight plain(DType type, MemorySegment data, int rows, int columns) {
        return new LinearWeight.Plain(new TensorView("w", type, List.of((long) rows * columns + 1), data), 1, rows, columns);
    }

    private static MemorySegment segment(long bytes) {
        return MemorySegment.ofArray(new byte[(int) bytes]);
    }

    private static void setShort(MemorySegment segment, long index, short value) {
        segment.set(ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 2 * index, value);
    }

    private byte[] bytes(int count) {
        byte[] bytes = new byte[count];
        random.nextBytes(bytes);
        return bytes;
    }

    /// Positive scales of very different size.
    private byte[] finiteScales(int count) {
        byte[] scales = new byte[count];
        for (int i = 0; i < count; i++) {
            scales[i] = (byte) (0x10 + random.nextInt(0x6E - 0x10));
        }
        return scales;
    }
}
