package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.model.checkpoint.Bf16;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The vector loops against their plain twins, on sizes around the vector's and those of real models.
class CpuMathTest {

    /// A sum of a few thousand fp32 terms in another order, relative to the terms' size.
    private static final float SUM_TOLERANCE = 2e-5f;
    /// The vector exponential is good to 2 units in the last place; a few operations follow.
    private static final float EXP_TOLERANCE = 2e-6f;
    private static final int GUARD = 5;

    private final CpuMath plain = ScalarMath.INSTANCE;
    private final CpuMath fast = VectorMath.INSTANCE;
    private final Random random = new Random(23);

    @Test
    void testsRunWithTheVectorApi() {
        assertThat(CpuMath.best()).isSameAs(VectorMath.INSTANCE);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 15, 16, 17, 31, 32, 33, 64, 100, 1856, 2688})
    void normsAgree(int n) {
        float[] x = random(n + GUARD, 3);
        float[] weight = random(n + GUARD, 1);
        float[] expected = new float[n + GUARD];
        float[] actual = new float[n + GUARD];

        plain.rmsNorm(x, 2, weight, 1, 1e-5f, expected, 3, n);
        fast.rmsNorm(x, 2, weight, 1, 1e-5f, actual, 3, n);

        assertClose(actual, expected, SUM_TOLERANCE);
    }

    @ParameterizedTest
    @CsvSource({"1, 1, 1", "1, 15, 3", "1, 16, 4", "3, 17, 5", "4, 31, 4", "5, 33, 9", "7, 100, 13", "16, 64, 8",
        "1, 2688, 7", "6, 1856, 6", "9, 4096, 4"})
    void productsAgree(int rows, int inner, int columns) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment a = floats(arena, random(rows * inner + GUARD, 1));
            for (boolean bf16 : new boolean[] {false, true}) {
                // weights that begin at an odd address, as a tensor in a mapped file may
                MemorySegment w = unaligned(arena, random(columns * inner, 1), bf16);
                MemorySegment expected = arena.allocate(4L * rows * columns + 4 * GUARD);
                MemorySegment actual = arena.allocate(4L * rows * columns + 4 * GUARD);

                plain.product(a, 4, rows, inner, w, 1, bf16, columns, expected, new float[CpuMath.PRODUCT_SCRATCH]);
                fast.product(a, 4, rows, inner, w, 1, bf16, columns, actual, new float[CpuMath.PRODUCT_SCRATCH]);

                assertClose(actual.toArray(JAVA_FLOAT), expected.toArray(JAVA_FLOAT),
                        SUM_TOLERANCE * (float) Math.sqrt(inner));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 16, 33, 100, 1856})
    void aRowOfAProductHasTheSameBitsAmongAnyOthers(int inner) {
        try (Arena arena = Arena.ofConfined()) {
            int columns = 11;
            int rows = 13;
            MemorySegment a = floats(arena, random(rows * inner, 1));
            MemorySegment w = unaligned(arena, random(columns * inner, 1), true);
            MemorySegment together = arena.allocate(4L * rows * columns);
            MemorySegment some = arena.allocate(4L * rows * columns);
            float[] scratch = new float[CpuMath.PRODUCT_SCRATCH];
            fast.product(a, 0, rows, inner, w, 1, true, columns, together, scratch);

            for (int count = 1; count <= rows; count++) {
                for (int first = 0; first + count <= rows; first++) {
                    fast.product(a, 4L * first * inner, count, inner, w, 1, true, columns, some, scratch);
                    long from = 4L * first * columns;
                    long bytes = 4L * count * columns;
                    assertThat(MemorySegment.mismatch(some, 0, bytes, together, from, from + bytes)).isEqualTo(-1);
                }
            }
        }
    }

    @Test
    void roundingToBf16IsExactlyTheSame() {
        // given ties, both zeros, subnormals, the largest floats, infinities and NaN, at every position of a vector
        float[] special = {0f, -0f, 1f, Float.intBitsToFloat(0x3F808000), Float.intBitsToFloat(0x3F818000),
            Float.intBitsToFloat(0x3F808001), Float.MIN_VALUE, -Float.MIN_NORMAL, Float.MAX_VALUE, -Float.MAX_VALUE,
            Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN, Float.intBitsToFloat(0x7F800001)};
        for (int n : new int[] {1, 15, 16, 17, 47}) {
            for (int shift = 0; shift < special.length; shift++) {
                float[] x = new float[n];
                for (int i = 0; i < n; i++) {
                    x[i] = special[(i + shift) % special.length];
                }
                try (Arena arena = Arena.ofConfined()) {
                    MemorySegment bf16 = arena.allocate(2L * n);
                    MemorySegment wide = arena.allocate(4L * n);
                    MemorySegment high = arena.allocate(4L * n);
                    fast.toBf16(x, 0, bf16, 0, n);
                    fast.roundToBf16(x, 0, wide, 0, n);
                    fast.toBf16Pair(x, 0, high, 0, 2L * n, n);
                    float[] back = new float[n];
                    fast.fromBf16(bf16, 0, back, 0, n);
                    for (int i = 0; i < n; i++) {
                        Float expected = Bf16.decode(Bf16.encode(x[i]));
                        assertThat((Float) back[i]).isEqualTo(expected);
                        assertThat((Float) wide.getAtIndex(JAVA_FLOAT, i)).isEqualTo(expected);
                        assertThat((Float) Bf16.decode(high.getAtIndex(JAVA_SHORT, i))).isEqualTo(expected);
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 16, 31, 300})
    void aPairOfBf16ValuesKeepsSixteenBits(int n) {
        float[] x = random(n, 100);
        for (CpuMath math : new CpuMath[] {plain, fast}) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment pair = arena.allocate(4L * n);
                math.toBf16Pair(x, 0, pair, 0, 2L * n, n);
                for (int i = 0; i < n; i++) {
                    float sum = Bf16.decode(pair.getAtIndex(JAVA_SHORT, i)) + Bf16.decode(pair.getAtIndex(JAVA_SHORT, n + i));
                    assertThat(Math.abs(sum - x[i])).isLessThanOrEqualTo(Math.abs(x[i]) * 0x1p-16f);
                }
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"1, 8", "3, 16", "5, 256", "2, 33"})
    void pairsOfRowsAddUpInPlace(int rows, int columns) {
        try (Arena arena = Arena.ofConfined()) {
            float[] values = random(2 * rows * columns, 1);
            MemorySegment expected = floats(arena, values);
            MemorySegment actual = floats(arena, values);

            plain.addPairs(expected, rows, columns);
            fast.addPairs(actual, rows, columns);

            for (int i = 0; i < rows * columns; i++) {
                int row = i / columns;
                float sum = values[2 * row * columns + i % columns] + values[(2 * row + 1) * columns + i % columns];
                assertThat(actual.getAtIndex(JAVA_FLOAT, i)).isEqualTo(sum);
                assertThat(expected.getAtIndex(JAVA_FLOAT, i)).isEqualTo(sum);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 15, 16, 17, 33, 1856})
    void elementwiseLoopsAgree(int n) {
        float[] x = random(n + GUARD, 10);
        x[2] = -0.0f;
        float[] expected = random(n + GUARD, 10);
        float[] actual = expected.clone();

        plain.squaredRelu(x, 2, expected, 3, n);
        fast.squaredRelu(x, 2, actual, 3, n);
        assertThat(actual).isEqualTo(expected);

        plain.addScaled(0.3f, x, 2, expected, 3, n);
        fast.addScaled(0.3f, x, 2, actual, 3, n);
        assertThat(actual).isEqualTo(expected);

        plain.gate(x, 2, expected, 3, n);
        fast.gate(x, 2, actual, 3, n);
        assertClose(actual, expected, EXP_TOLERANCE);
    }

    @Test
    void gatesAgreeOverTheWholeRange() {
        float[] gates = {-1e30f, -200, -100, -88, -87, -20, -1, -1e-6f, 0, 1e-6f, 1, 20, 87, 88, 89, 100, 1e30f};
        float[] expected = new float[gates.length];
        Arrays.fill(expected, 1);
        float[] actual = expected.clone();

        plain.gate(gates, 0, expected, 0, gates.length);
        fast.gate(gates, 0, actual, 0, gates.length);

        assertClose(actual, expected, EXP_TOLERANCE);
    }

    @Test
    void notANumberStaysNotANumber() {
        float[] gates = new float[32];
        Arrays.fill(gates, Float.NaN);
        float[] y = new float[32];
        Arrays.fill(y, 1);
        fast.gate(gates, 0, y, 0, 32);
        for (float value : y) {
            assertThat(value).isNaN();
        }
        fast.squaredRelu(gates, 0, y, 0, 32);
        for (float value : y) {
            assertThat(value).isNaN();
        }
    }

    @ParameterizedTest
    @CsvSource({"4, 1", "4, 17", "2, 64", "4, 544", "1, 33"})
    void convolutionsAgree(int taps, int channels) {
        float[] x = random(taps * channels + GUARD, 2);
        float[] w = random(taps * channels, 1);
        float[] bias = random(channels, 1);
        float[] expected = new float[channels + GUARD];
        float[] actual = new float[channels + GUARD];

        plain.convolve(x, 3, w, bias, taps, channels, expected, 2);
        fast.convolve(x, 3, w, bias, taps, channels, actual, 2);

        assertClose(actual, expected, EXP_TOLERANCE * 4);
    }

    @ParameterizedTest
    @CsvSource({"128, 64", "128, 80", "20, 24", "64, 32", "1, 1", "16, 17", "128, 129"})
    void recurrencesAgree(int stateDim, int headDim) {
        try (Arena arena = Arena.ofConfined()) {
            float[] start = random(stateDim * headDim, 1);
            MemorySegment expectedState = floats(arena, start);
            MemorySegment actualState = floats(arena, start);
            for (int token = 0; token < 20; token++) {
                float[] x = random(headDim + GUARD, 1);
                float[] bc = random(2 * stateDim + GUARD, 1);
                float[] expected = new float[headDim + GUARD];
                float[] actual = new float[headDim + GUARD];

                plain.recur(expectedState, 0, stateDim, headDim, 0.9f, 0.1f, 0.5f, x, 1, bc, 2, bc, 2 + stateDim,
                        expected, 3);
                fast.recur(actualState, 0, stateDim, headDim, 0.9f, 0.1f, 0.5f, x, 1, bc, 2, bc, 2 + stateDim, actual, 3);

                // the same operations in the same order: not only close
                assertThat(actual).isEqualTo(expected);
            }
            assertThat(actualState.mismatch(expectedState)).isEqualTo(-1);
        }
    }

    @ParameterizedTest
    @CsvSource({"1, 1, 128", "8, 128, 1", "5, 24, 17", "16, 80, 100", "3, 33, 127", "4, 16, 32"})
    void attentionOverABlockAgrees(int heads, int headDim, int valid) {
        float[] q = random(heads * headDim + GUARD, 1);
        float[] keys = random(128 * headDim, 1);
        float[] values = random(128 * headDim, 1);
        // what was never written may be anything
        for (int d = 0; d < headDim; d++) {
            Arrays.fill(keys, d * 128 + valid, (d + 1) * 128, Float.NaN);
        }
        Arrays.fill(values, valid * headDim, values.length, Float.NaN);
        float[] expected = new float[heads * 128];
        float[] actual = new float[heads * 128];

        plain.scores(q, 2, heads, headDim, keys, valid, 0.2f, expected);
        fast.scores(q, 2, heads, headDim, keys, valid, 0.2f, actual);
        for (int head = 0; head < heads; head++) {
            int at = head * 128;
            assertThat(Arrays.copyOfRange(actual, at, at + valid)).isEqualTo(Arrays.copyOfRange(expected, at, at + valid));
            float max = plain.maximum(expected, at, valid, -3);
            assertThat(fast.maximum(actual, at, valid, -3)).isEqualTo(max);

            float sum = plain.exponentials(expected, at, valid, max);
            assertThat(fast.exponentials(actual, at, valid, max)).isCloseTo(sum, within(sum));
            float[] expectedMean = random(headDim, 1);
            float[] actualMean = expectedMean.clone();
            plain.accumulate(expected, at, valid, values, headDim, 0.7f, expectedMean, 0);
            fast.accumulate(actual, at, valid, values, headDim, 0.7f, actualMean, 0);
            assertClose(actualMean, expectedMean, SUM_TOLERANCE);
        }
    }

    private static Offset<Float> within(float size) {
        return Offset.offset(EXP_TOLERANCE * 4 * Math.max(1, size));
    }

    private float[] random(int count, float size) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (random.nextFloat() * 2 - 1) * size;
        }
        return values;
    }

    private static MemorySegment floats(Arena arena, float[] values) {
        return arena.allocateFrom(JAVA_FLOAT, values);
    }

    private static MemorySegment unaligned(Arena arena, float[] values, boolean bf16) {
        MemorySegment segment = arena.allocate((bf16 ? 2L : 4L) * values.length + 1);
        for (int i = 0; i < values.length; i++) {
            if (bf16) {
                segment.set(JAVA_SHORT_UNALIGNED, 1 + 2L * i, Bf16.encode(values[i]));
            } else {
                segment.set(JAVA_FLOAT_UNALIGNED, 1 + 4L * i, values[i]);
            }
        }
        return segment;
    }

    private static void assertClose(float[] actual, float[] expected, float tolerance) {
        assertThat(actual.length).isEqualTo(expected.length);
        for (int i = 0; i < expected.length; i++) {
            float difference = Math.abs(actual[i] - expected[i]);
            boolean close = difference <= tolerance * Math.max(1, Math.abs(expected[i]));
            int index = i;
            assertThat(close).as(() -> "index " + index + ": " + actual[index] + " for " + expected[index]).isTrue();
        }
    }
}
