package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The recurrence that the backend runs token by token against the chunked form of the same function, for one head.
/// Source: Dao and Gu 2024 (arXiv:2405.21060), §6.
class SsdChunkScanTest {

    /// 300 tokens of fp32 against doubles.
    private static final double TOLERANCE = 2e-5;
    private static final int TOKENS = 300;
    private static final int HEAD_DIM = 24;
    private static final int STATE_DIM = 20;
    private static final double RATE = -1.3;
    private static final float SKIP = 0.4f;

    private final Random random = new Random(41);
    private final float[][] x = rows(HEAD_DIM);
    private final float[][] b = rows(STATE_DIM);
    private final float[][] c = rows(STATE_DIM);
    private final float[] timeSteps = rows(1, TOKENS)[0];
    private final float[][] start = new float[STATE_DIM][HEAD_DIM];

    @ParameterizedTest
    @CsvSource({"1, 300", "16, 300", "128, 300", "256, 300", "1, 77", "16, 77", "128, 77", "256, 77"})
    void chunksGiveWhatSingleTokensGive(int chunk, int split) {
        // given a state that is carried in
        for (float[] row : start) {
            for (int p = 0; p < HEAD_DIM; p++) {
                row[p] = random.nextFloat() * 2 - 1;
            }
        }
        for (int t = 0; t < TOKENS; t++) {
            timeSteps[t] = 0.001f + 0.3f * Math.abs(timeSteps[t]);
        }

        // when one runs in chunks that begin anew at the split, the other token by token
        double[][] state = new double[STATE_DIM][HEAD_DIM];
        for (int n = 0; n < STATE_DIM; n++) {
            for (int p = 0; p < HEAD_DIM; p++) {
                state[n][p] = start[n][p];
            }
        }
        double[][] expected = new double[TOKENS][];
        for (int from = 0; from < split; from += chunk) {
            scan(state, from, Math.min(split, from + chunk), expected);
        }
        for (int from = split; from < TOKENS; from += chunk) {
            scan(state, from, Math.min(TOKENS, from + chunk), expected);
        }

        // then outputs and the state carried out agree
        for (CpuMath math : new CpuMath[] {ScalarMath.INSTANCE, VectorMath.INSTANCE}) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment running = arena.allocate(4L * STATE_DIM * HEAD_DIM);
                for (int n = 0; n < STATE_DIM; n++) {
                    MemorySegment.copy(start[n], 0, running, JAVA_FLOAT, 4L * n * HEAD_DIM, HEAD_DIM);
                }
                float[] y = new float[HEAD_DIM];
                for (int t = 0; t < TOKENS; t++) {
                    float decay = (float) Math.exp(timeSteps[t] * RATE);
                    math.recur(running, 0, STATE_DIM, HEAD_DIM, decay, timeSteps[t], SKIP, x[t], 0, b[t], 0, c[t], 0, y, 0);
                    for (int p = 0; p < HEAD_DIM; p++) {
                        assertThat(Math.abs(y[p] - expected[t][p])).as("token %d", t).isLessThan(TOLERANCE);
                    }
                }
                for (int n = 0; n < STATE_DIM; n++) {
                    for (int p = 0; p < HEAD_DIM; p++) {
                        float actual = running.getAtIndex(JAVA_FLOAT, (long) n * HEAD_DIM + p);
                        assertThat(Math.abs(actual - state[n][p])).isLessThan(TOLERANCE);
                    }
                }
            }
        }
    }

    /// One chunk in matrix form: what its own tokens give each other, plus what the carried state gives.
    private void scan(double[][] state, int from, int to, double[][] y) {
        int n = to - from;
        double[] decay = new double[n];
        for (int i = 0; i < n; i++) {
            decay[i] = (i == 0 ? 0 : decay[i - 1]) + timeSteps[from + i] * RATE;
        }
        for (int i = 0; i < n; i++) {
            double[] sum = new double[HEAD_DIM];
            for (int p = 0; p < HEAD_DIM; p++) {
                sum[p] = SKIP * x[from + i][p];
                for (int s = 0; s < STATE_DIM; s++) {
                    sum[p] += Math.exp(decay[i]) * state[s][p] * c[from + i][s];
                }
            }
            for (int j = 0; j <= i; j++) {
                double weight = dot(c[from + i], b[from + j]) * Math.exp(decay[i] - decay[j]) * timeSteps[from + j];
                for (int p = 0; p < HEAD_DIM; p++) {
                    sum[p] += weight * x[from + j][p];
                }
            }
            y[from + i] = sum;
        }
        for (int s = 0; s < STATE_DIM; s++) {
            for (int p = 0; p < HEAD_DIM; p++) {
                double next = Math.exp(decay[n - 1]) * state[s][p];
                for (int j = 0; j < n; j++) {
                    next += Math.exp(decay[n - 1] - decay[j]) * timeSteps[from + j] * x[from + j][p] * b[from + j][s];
                }
                state[s][p] = next;
            }
        }
    }

    private static double dot(float[] left, float[] right) {
        double sum = 0;
        for (int i = 0; i < left.length; i++) {
            sum += (double) left[i] * right[i];
        }
        return sum;
    }

    private float[][] rows(int width) {
        return rows(TOKENS, width);
    }

    private float[][] rows(int count, int width) {
        float[][] rows = new float[count][width];
        for (float[] row : rows) {
            for (int i = 0; i < width; i++) {
                row[i] = random.nextFloat() * 2 - 1;
            }
        }
        return rows;
    }
}
