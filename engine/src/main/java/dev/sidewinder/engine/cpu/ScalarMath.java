package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.checkpoint.Bf16;
import java.lang.foreign.MemorySegment;

/// [CpuMath] in plain Java, one loop per formula: what the vector code is compared with, and what runs where the JVM has
/// no Vector API.
final class ScalarMath implements CpuMath {

    static final ScalarMath INSTANCE = new ScalarMath();

    private ScalarMath() {}

    @Override
    public String description() {
        return "plain Java loops (slow: start the JVM with --add-modules jdk.incubator.vector)";
    }

    @Override
    public void rmsNorm(float[] x, int xAt, float[] weight, int weightAt, float epsilon, float[] y, int yAt, int n) {
        float squares = 0;
        for (int i = 0; i < n; i++) {
            squares = Math.fma(x[xAt + i], x[xAt + i], squares);
        }
        float factor = (float) (1 / Math.sqrt(squares / n + epsilon));
        for (int i = 0; i < n; i++) {
            y[yAt + i] = x[xAt + i] * factor * weight[weightAt + i];
        }
    }

    @Override
    public void product(MemorySegment a, long aAt, int rows, int inner, MemorySegment w, long wAt, boolean bf16,
            int columns, MemorySegment out, float[] scratch) {
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < columns; column++) {
                float sum = 0;
                for (int i = 0; i < inner; i++) {
                    float left = a.get(JAVA_FLOAT_UNALIGNED, aAt + 4L * ((long) row * inner + i));
                    long element = (long) column * inner + i;
                    float right = bf16
                            ? Bf16.decode(w.get(JAVA_SHORT_UNALIGNED, wAt + 2 * element))
                            : w.get(JAVA_FLOAT_UNALIGNED, wAt + 4 * element);
                    sum = Math.fma(left, right, sum);
                }
                out.set(JAVA_FLOAT_UNALIGNED, 4L * ((long) row * columns + column), sum);
            }
        }
    }

    @Override
    public void toBf16(float[] source, int sourceAt, MemorySegment target, long targetAt, int n) {
        for (int i = 0; i < n; i++) {
            target.set(JAVA_SHORT_UNALIGNED, targetAt + 2L * i, Bf16.encode(source[sourceAt + i]));
        }
    }

    @Override
    public void roundToBf16(float[] source, int sourceAt, MemorySegment target, long targetAt, int n) {
        for (int i = 0; i < n; i++) {
            target.set(JAVA_FLOAT_UNALIGNED, targetAt + 4L * i, Bf16.decode(Bf16.encode(source[sourceAt + i])));
        }
    }

    @Override
    public void toBf16Pair(float[] source, int sourceAt, MemorySegment target, long highAt, long lowAt, int n) {
        for (int i = 0; i < n; i++) {
            float value = source[sourceAt + i];
            short high = Bf16.encode(value);
            target.set(JAVA_SHORT_UNALIGNED, highAt + 2L * i, high);
            target.set(JAVA_SHORT_UNALIGNED, lowAt + 2L * i, Bf16.encode(value - Bf16.decode(high)));
        }
    }

    @Override
    public void addPairs(MemorySegment result, int rows, int columns) {
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < columns; column++) {
                long first = 2L * row * columns + column;
                float sum = result.get(JAVA_FLOAT_UNALIGNED, 4 * first)
                        + result.get(JAVA_FLOAT_UNALIGNED, 4 * (first + columns));
                result.set(JAVA_FLOAT_UNALIGNED, 4 * ((long) row * columns + column), sum);
            }
        }
    }

    @Override
    public void fromBf16(MemorySegment source, long sourceAt, float[] target, int targetAt, int n) {
        for (int i = 0; i < n; i++) {
            target[targetAt + i] = Bf16.decode(source.get(JAVA_SHORT_UNALIGNED, sourceAt + 2L * i));
        }
    }

    @Override
    public void squaredRelu(float[] x, int xAt, float[] y, int yAt, int n) {
        for (int i = 0; i < n; i++) {
            float positive = Math.max(x[xAt + i], 0);
            y[yAt + i] = positive * positive;
        }
    }

    @Override
    public void addScaled(float factor, float[] x, int xAt, float[] y, int yAt, int n) {
        for (int i = 0; i < n; i++) {
            y[yAt + i] = Math.fma(factor, x[xAt + i], y[yAt + i]);
        }
    }

    static float silu(float value) {
        return (float) (value / (1 + Math.exp(-value)));
    }

    @Override
    public void convolve(float[] x, int xAt, float[] w, float[] bias, int taps, int channels, float[] y, int yAt) {
        for (int channel = 0; channel < channels; channel++) {
            float sum = bias[channel];
            for (int tap = 0; tap < taps; tap++) {
                sum = Math.fma(w[tap * channels + channel], x[xAt + tap * channels + channel], sum);
            }
            y[yAt + channel] = silu(sum);
        }
    }

    @Override
    public void recur(MemorySegment state, long stateAt, int stateDim, int headDim, float decay, float dt, float skip,
            float[] x, int xAt, float[] b, int bAt, float[] c, int cAt, float[] y, int yAt) {
        for (int p = 0; p < headDim; p++) {
            float input = dt * x[xAt + p];
            float sum = 0;
            for (int n = 0; n < stateDim; n++) {
                long at = stateAt + 4L * ((long) n * headDim + p);
                float next = Math.fma(b[bAt + n], input, decay * state.get(JAVA_FLOAT_UNALIGNED, at));
                state.set(JAVA_FLOAT_UNALIGNED, at, next);
                sum = Math.fma(next, c[cAt + n], sum);
            }
            y[yAt + p] = Math.fma(skip, x[xAt + p], sum);
        }
    }

    @Override
    public void gate(float[] gate, int gateAt, float[] y, int yAt, int n) {
        for (int i = 0; i < n; i++) {
            y[yAt + i] *= silu(gate[gateAt + i]);
        }
    }

    @Override
    public void scores(float[] q, int qAt, int heads, int headDim, float[] keys, int valid, float scale,
            float[] scores) {
        int width = CacheShape.BLOCK_TOKENS;
        for (int head = 0; head < heads; head++) {
            for (int token = 0; token < valid; token++) {
                float sum = 0;
                for (int d = 0; d < headDim; d++) {
                    sum = Math.fma(q[qAt + head * headDim + d], keys[d * width + token], sum);
                }
                scores[head * width + token] = sum * scale;
            }
        }
    }

    @Override
    public float maximum(float[] scores, int at, int valid, float floor) {
        float max = floor;
        for (int i = 0; i < valid; i++) {
            max = Math.max(max, scores[at + i]);
        }
        return max;
    }

    @Override
    public float exponentials(float[] scores, int at, int valid, float max) {
        float sum = 0;
        for (int i = 0; i < valid; i++) {
            scores[at + i] = (float) Math.exp(scores[at + i] - max);
            sum += scores[at + i];
        }
        return sum;
    }

    @Override
    public void accumulate(float[] p, int pAt, int valid, float[] values, int headDim, float correction, float[] y,
            int yAt) {
        for (int d = 0; d < headDim; d++) {
            float sum = correction * y[yAt + d];
            for (int j = 0; j < valid; j++) {
                sum = Math.fma(p[pAt + j], values[j * headDim + d], sum);
            }
            y[yAt + d] = sum;
        }
    }
}
