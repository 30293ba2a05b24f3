package dev.sidewinder.engine.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.E4m3;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.TensorView;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Products with FP8 matrices whose activations are rounded to FP8 too, against sums in double precision of the rounded
/// numbers.
class Fp8LinearTest {

    /// fp32 sums of a few hundred numbers in another order, relative to the sum of their magnitudes.
    private static final double TOLERANCE = 1e-5;
    private static final float SCALE = 0.0123f;
    private static final float INPUT_SCALE = 0.031f;
    /// A fifth of the activations lies beyond what the input scale can hold.
    private static final float SPREAD = 448 * INPUT_SCALE * 1.25f;

    private final Random random = new Random(8);
    private final NativeMemory memory = new NativeMemory();
    private final WorkerPool pool = new WorkerPool(2);

    @AfterEach
    void close() {
        pool.close();
        memory.close();
    }

    @ParameterizedTest
    @CsvSource({"33, 7, 5", "96, 300, 128", "256, 256, 1", "80, 520, 17", "1, 1, 2"})
    void roundsActivationsAndMultipliesCodes(int inputs, int outputs, int rows) {
        for (CpuMath math : List.of(ScalarMath.INSTANCE, CpuMath.best())) {
            check(math, inputs, outputs, rows);
        }
    }

    @Test
    void aMatrixWithoutAScaleToDivideByTakesActivationsAsTheyAre() {
        assertThat(Fp8Linear.isFor(weight(4, 4, INPUT_SCALE))).isTrue();
        assertThat(Fp8Linear.isFor(weight(4, 4, Float.NaN))).isFalse();
        assertThat(Fp8Linear.isFor(weight(4, 4, 0))).isFalse();
        assertThat(Fp8Linear.isFor(weight(4, 4, 1e-40f))).isFalse();
    }

    private void check(CpuMath math, int inputs, int outputs, int rows) {
        // given a matrix ready for FP8 activations, and rows that begin behind others
        LinearWeight.Fp8 weight = weight(outputs, inputs, INPUT_SCALE);
        var loader = new LinearLoader(pool, memory, math, Arithmetic.FP8, Optional.empty(), 0, LoadProgress.SILENT);
        Linear linear = loader.load(weight);
        loader.prepare();
        int first = 3;
        var source = new SourceRows(memory, math, SourceRows.Form.FLOAT, first + rows, inputs);
        float[][] activations = new float[first + rows][inputs];
        for (int i = 0; i < first + rows; i++) {
            for (int column = 0; column < inputs; column++) {
                activations[i][column] = (2 * random.nextFloat() - 1) * SPREAD;
            }
            source.set(i, 0, activations[i], 0, inputs);
        }

        // when every tile is multiplied, by either worker
        MemorySegment result = memory.allocate(4L * Linear.RESULT_FLOATS);
        for (int tile = 0; tile < linear.tiles(); tile++) {
            linear.multiply(tile, source, first, rows, result, tile % 2);

            // then each number is the sum over rounded activations, times both scales
            for (int i = 0; i < rows; i++) {
                for (int column = 0; column < linear.tileColumns(tile); column++) {
                    double sum = 0;
                    double magnitudes = 0;
                    for (int k = 0; k < inputs; k++) {
                        int output = tile * Linear.TILE_COLUMNS + column;
                        byte code = weight.tensor().data().get(ValueLayout.JAVA_BYTE, (long) output * inputs + k);
                        double term = (double) E4m3.decode(code) * SCALE * E4m3.decode(E4m3.encode(activations[first + i][k] / INPUT_SCALE))
                                * INPUT_SCALE;
                        sum += term;
                        magnitudes += Math.abs(term);
                    }
                    float actual = result.getAtIndex(ValueLayout.JAVA_FLOAT, (long) i * linear.tileColumns(tile) + column);
                    assertThat(Math.abs(actual - sum)).as("row %d, tile %d, column %d: %s for %s", i, tile, column, actual, sum)
                            .isLessThanOrEqualTo(TOLERANCE * magnitudes);
                }
            }
        }
    }

    private LinearWeight.Fp8 weight(int outputs, int inputs, float inputScale) {
        byte[] codes = new byte[outputs * inputs];
        for (int i = 0; i < codes.length; i++) {
            codes[i] = E4m3.encode((float) random.nextGaussian() * 100);
        }
        var tensor = new TensorView("w", DType.F8_E4M3, List.of((long) outputs, (long) inputs), MemorySegment.ofArray(codes));
        return new LinearWeight.Fp8(tensor, 0, outputs, inputs, SCALE, inputScale);
    }
}
