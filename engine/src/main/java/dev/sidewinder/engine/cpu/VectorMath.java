package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.nio.ByteOrder.LITTLE_ENDIAN;

import dev.sidewinder.kvcache.CacheShape;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/// [CpuMath] with the Vector API.
///
/// Methods are short on purpose: past the compiler's inlining budget vectors get boxed and everything is a hundred times
/// slower. What does not fill a vector is left to the plain twin, so a position's arithmetic depends on sizes only.
/// Matrix products live in [VectorProduct].
final class VectorMath implements CpuMath {

    static final VectorMath INSTANCE = new VectorMath();

    static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
    static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;
    /// As many bf16 values as there are lanes in [#FLOATS].
    static final VectorSpecies<Short> SHORTS =
            VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));
    static final int LANES = FLOATS.length();

    private static final ScalarMath SCALAR = ScalarMath.INSTANCE;

    private VectorMath() {}

    @Override
    public String description() {
        return "Vector API, " + FLOATS.vectorBitSize() + " bit";
    }

    /// Widens as many bf16 values as a vector holds.
    static FloatVector widen(MemorySegment bf16, long at) {
        return ShortVector.fromMemorySegment(SHORTS, bf16, at, LITTLE_ENDIAN)
                .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0)
                .reinterpretAsInts()
                .lanewise(VectorOperators.LSHL, 16)
                .reinterpretAsFloats();
    }

    /// Adds up `LANES` floats as a balanced tree. (The order of `reduceLanes` is open.) Overwrites them.
    static float sumOfLanes(float[] lanes, int at) {
        for (int half = LANES / 2; half > 0; half /= 2) {
            for (int i = 0; i < half; i++) {
                lanes[at + i] += lanes[at + i + half];
            }
        }
        return lanes[at];
    }

    @Override
    public void rmsNorm(float[] x, int xAt, float[] weight, int weightAt, float epsilon, float[] y, int yAt, int n) {
        int bound = FLOATS.loopBound(n);
        var sums = FloatVector.zero(FLOATS);
        for (int i = 0; i < bound; i += LANES) {
            var values = FloatVector.fromArray(FLOATS, x, xAt + i);
            sums = values.fma(values, sums);
        }
        float[] lanes = new float[LANES];
        sums.intoArray(lanes, 0);
        float squares = sumOfLanes(lanes, 0);
        for (int i = bound; i < n; i++) {
            squares = Math.fma(x[xAt + i], x[xAt + i], squares);
        }
        float factor = (float) (1 / Math.sqrt(squares / n + epsilon));
        for (int i = 0; i < bound; i += LANES) {
            FloatVector.fromArray(FLOATS, x, xAt + i).mul(factor)
                    .mul(FloatVector.fromArray(FLOATS, weight, weightAt + i)).intoArray(y, yAt + i);
        }
        for (int i = bound; i < n; i++) {
            y[yAt + i] = x[xAt + i] * factor * weight[weightAt + i];
        }
    }

    @Override
    public void product(MemorySegment a, long aAt, int rows, int inner, MemorySegment w, long wAt, boolean bf16,
            int columns, MemorySegment out, float[] scratch) {
        if (bf16) {
            VectorProduct.withBf16(a, aAt, rows, inner, w, wAt, columns, out, scratch);
        } else {
            VectorProduct.withFloats(a, aAt, rows, inner, w, wAt, columns, out, scratch);
        }
    }

    /// The upper halves of the rounded values, in the low 16 bits.
    private static IntVector roundedHalves(FloatVector values) {
        IntVector bits = values.reinterpretAsInts();
        IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).and(1);
        IntVector rounded = bits.add(odd).add(0x7FFF).lanewise(VectorOperators.LSHR, 16);
        VectorMask<Integer> nan = values.test(VectorOperators.IS_NAN).cast(INTS);
        return rounded.blend(0x7FC0, nan);
    }

    @Override
    public void toBf16(float[] source, int sourceAt, MemorySegment target, long targetAt, int n) {
        int bound = FLOATS.loopBound(n);
        for (int i = 0; i < bound; i += LANES) {
            storeHalves(roundedHalves(FloatVector.fromArray(FLOATS, source, sourceAt + i)), target, targetAt + 2L * i);
        }
        SCALAR.toBf16(source, sourceAt + bound, target, targetAt + 2L * bound, n - bound);
    }

    @Override
    public void roundToBf16(float[] source, int sourceAt, MemorySegment target, long targetAt, int n) {
        int bound = FLOATS.loopBound(n);
        for (int i = 0; i < bound; i += LANES) {
            roundedHalves(FloatVector.fromArray(FLOATS, source, sourceAt + i))
                    .lanewise(VectorOperators.LSHL, 16)
                    .reinterpretAsFloats()
                    .intoMemorySegment(target, targetAt + 4L * i, LITTLE_ENDIAN);
        }
        SCALAR.roundToBf16(source, sourceAt + bound, target, targetAt + 4L * bound, n - bound);
    }

    private static void storeHalves(IntVector halves, MemorySegment target, long at) {
        halves.convertShape(VectorOperators.I2S, SHORTS, 0).reinterpretAsShorts()
                .intoMemorySegment(target, at, LITTLE_ENDIAN);
    }

    @Override
    public void toBf16Pair(float[] source, int sourceAt, MemorySegment target, long highAt, long lowAt, int n) {
        int bound = FLOATS.loopBound(n);
        for (int i = 0; i < bound; i += LANES) {
            var values = FloatVector.fromArray(FLOATS, source, sourceAt + i);
            var high = roundedHalves(values);
            var rest = values.sub(high.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats());
            storeHalves(high, target, highAt + 2L * i);
            storeHalves(roundedHalves(rest), target, lowAt + 2L * i);
        }
        SCALAR.toBf16Pair(source, sourceAt + bound, target, highAt + 2L * bound, lowAt + 2L * bound, n - bound);
    }

    @Override
    public void addPairs(MemorySegment result, int rows, int columns) {
        int bound = FLOATS.loopBound(columns);
        if (bound < columns) {
            SCALAR.addPairs(result, rows, columns);
            return;
        }
        for (int row = 0; row < rows; row++) {
            long first = 8L * row * columns;
            long second = first + 4L * columns;
            for (int i = 0; i < bound; i += LANES) {
                FloatVector.fromMemorySegment(FLOATS, result, first + 4L * i, LITTLE_ENDIAN)
                        .add(FloatVector.fromMemorySegment(FLOATS, result, second + 4L * i, LITTLE_ENDIAN))
                        .intoMemorySegment(result, 4L * row * columns + 4L * i, LITTLE_ENDIAN);
            }
        }
    }

    @Override
    public void fromBf16(MemorySegment source, long sourceAt, float[] target, int targetAt, int n) {
        int bound = FLOATS.loopBound(n);
        for (int i = 0; i < bound; i += LANES) {
            widen(source, sourceAt + 2L * i).intoArray(target, targetAt + i);
        }
        SCALAR.fromBf16(source, sourceAt + 2L * bound, target, targetAt + bound, n - bound);
    }

    @Override
    public void squaredRelu(float[] x, int xAt, float[] y, int yAt, int n) {
        int bound = FLOATS.loopBound(n);
        for (int i = 0; i < bound; i += LANES) {
            var positive = FloatVector.fromArray(FLOATS, x, xAt + i).max(0);
            positive.mul(positive).intoArray(y, yAt + i);
        }
        SCALAR.squaredRelu(x, xAt + bound, y, yAt + bound, n - bound);
    }

    @Override
    public void addScaled(float factor, float[] x, int xAt, float[] y, int yAt, int n) {
        int bound = FLOATS.loopBound(n);
        var factors = FloatVector.broadcast(FLOATS, factor);
        for (int i = 0; i < bound; i += LANES) {
            FloatVector.fromArray(FLOATS, x, xAt + i).fma(factors, FloatVector.fromArray(FLOATS, y, yAt + i))
                    .intoArray(y, yAt + i);
        }
        SCALAR.addScaled(factor, x, xAt + bound, y, yAt + bound, n - bound);
    }

    /// Adding this to a small float rounds it to an integer, which then stands in the low bits.
    private static final float ROUNDER = 0x1.8p23f;
    private static final float LOG2_E = 1.44269504088896341f;
    private static final float LN_2_HIGH = 0.693359375f;
    private static final float LN_2_LOW = -2.12194440e-4f;

    /// e^x for x in [-86, 88], clamped outside; within 2 units in the last place.
    /// Source: Cephes, expf (polynomial and split of ln 2).
    static FloatVector exp(FloatVector x) {
        var clamped = x.max(-86f).min(88f);
        var shifted = clamped.fma(FloatVector.broadcast(FLOATS, LOG2_E), FloatVector.broadcast(FLOATS, ROUNDER));
        var power = shifted.sub(ROUNDER);
        var rest = power.fma(FloatVector.broadcast(FLOATS, -LN_2_HIGH), clamped);
        rest = power.fma(FloatVector.broadcast(FLOATS, -LN_2_LOW), rest);
        var bits = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
        return expOfRest(rest).reinterpretAsInts().add(bits).reinterpretAsFloats();
    }

    private static FloatVector expOfRest(FloatVector r) {
        var sum = FloatVector.broadcast(FLOATS, 1.9875691500e-4f);
        sum = sum.fma(r, FloatVector.broadcast(FLOATS, 1.3981999507e-3f));
        sum = sum.fma(r, FloatVector.broadcast(FLOATS, 8.3334519073e-3f));
        sum = sum.fma(r, FloatVector.broadcast(FLOATS, 4.1665795894e-2f));
        sum = sum.fma(r, FloatVector.broadcast(FLOATS, 1.6666665459e-1f));
        sum = sum.fma(r, FloatVector.broadcast(FLOATS, 5.0000001201e-1f));
        return sum.fma(r.mul(r), r).add(1f);
    }

    private static FloatVector silu(FloatVector x) {
        return x.div(exp(x.neg()).add(1f));
    }

    @Override
    public void convolve(float[] x, int xAt, float[] w, float[] bias, int taps, int channels, float[] y, int yAt) {
        int bound = FLOATS.loopBound(channels);
        for (int channel = 0; channel < bound; channel += LANES) {
            var sum = FloatVector.fromArray(FLOATS, bias, channel);
            for (int tap = 0; tap < taps; tap++) {
                int at = tap * channels + channel;
                sum = FloatVector.fromArray(FLOATS, w, at).fma(FloatVector.fromArray(FLOATS, x, xAt + at), sum);
            }
            silu(sum).intoArray(y, yAt + channel);
        }
        for (int channel = bound; channel < channels; channel++) {
            float sum = bias[channel];
            for (int tap = 0; tap < taps; tap++) {
                sum = Math.fma(w[tap * channels + channel], x[xAt + tap * channels + channel], sum);
            }
            y[yAt + channel] = ScalarMath.silu(sum);
        }
    }

    @Override
    public void recur(MemorySegment state, long stateAt, int stateDim, int headDim, float decay, float dt, float skip,
            float[] x, int xAt, float[] b, int bAt, float[] c, int cAt, float[] y, int yAt) {
        int p = 0;
        for (; p + 4 * LANES <= headDim; p += 4 * LANES) {
            recurFour(state, stateAt + 4L * p, stateDim, headDim, decay, dt, skip, x, xAt + p, b, bAt, c, cAt, y,
                    yAt + p);
        }
        for (; p + LANES <= headDim; p += LANES) {
            recurOne(state, stateAt + 4L * p, stateDim, headDim, decay, dt, skip, x, xAt + p, b, bAt, c, cAt, y,
                    yAt + p);
        }
        for (; p < headDim; p++) {
            recurLane(state, stateAt + 4L * p, stateDim, headDim, decay, dt, skip, x, xAt + p, b, bAt, c, cAt, y,
                    yAt + p);
        }
    }

    private static void recurFour(MemorySegment state, long stateAt, int stateDim, int headDim, float decay, float dt,
            float skip, float[] x, int xAt, float[] b, int bAt, float[] c, int cAt, float[] y, int yAt) {
        var decays = FloatVector.broadcast(FLOATS, decay);
        var in0 = FloatVector.fromArray(FLOATS, x, xAt).mul(dt);
        var in1 = FloatVector.fromArray(FLOATS, x, xAt + LANES).mul(dt);
        var in2 = FloatVector.fromArray(FLOATS, x, xAt + 2 * LANES).mul(dt);
        var in3 = FloatVector.fromArray(FLOATS, x, xAt + 3 * LANES).mul(dt);
        var sum0 = FloatVector.zero(FLOATS);
        var sum1 = sum0;
        var sum2 = sum0;
        var sum3 = sum0;
        long vectorBytes = 4L * LANES;
        for (int n = 0; n < stateDim; n++) {
            long at = stateAt + 4L * n * headDim;
            var bs = FloatVector.broadcast(FLOATS, b[bAt + n]);
            var cs = FloatVector.broadcast(FLOATS, c[cAt + n]);
            var s0 = bs.fma(in0, FloatVector.fromMemorySegment(FLOATS, state, at, LITTLE_ENDIAN).mul(decays));
            s0.intoMemorySegment(state, at, LITTLE_ENDIAN);
            sum0 = s0.fma(cs, sum0);
            at += vectorBytes;
            var s1 = bs.fma(in1, FloatVector.fromMemorySegment(FLOATS, state, at, LITTLE_ENDIAN).mul(decays));
            s1.intoMemorySegment(state, at, LITTLE_ENDIAN);
            sum1 = s1.fma(cs, sum1);
            at += vectorBytes;
            var s2 = bs.fma(in2, FloatVector.fromMemorySegment(FLOATS, state, at, LITTLE_ENDIAN).mul(decays));
            s2.intoMemorySegment(state, at, LITTLE_ENDIAN);
            sum2 = s2.fma(cs, sum2);
            at += vectorBytes;
            var s3 = bs.fma(in3, FloatVector.fromMemorySegment(FLOATS, state, at, LITTLE_ENDIAN).mul(decays));
            s3.intoMemorySegment(state, at, LITTLE_ENDIAN);
            sum3 = s3.fma(cs, sum3);
        }
        addSkip(sum0, skip, x, xAt, y, yAt);
        addSkip(sum1, skip, x, xAt + LANES, y, yAt + LANES);
        addSkip(sum2, skip, x, xAt + 2 * LANES, y, yAt + 2 * LANES);
        addSkip(sum3, skip, x, xAt + 3 * LANES, y, yAt + 3 * LANES);
    }

    private static void addSkip(FloatVector sum, float skip, float[] x, int xAt, float[] y, int yAt) {
        FloatVector.fromArray(FLOATS, x, xAt).fma(FloatVector.broadcast(FLOATS, skip), sum).intoArray(y, yAt);
    }

    private static void recurOne(MemorySegment state, long stateAt, int stateDim, int headDim, float decay, float dt,
            float skip, float[] x, int xAt, float[] b, int bAt, float[] c, int cAt, float[] y, int yAt) {
        var decays = FloatVector.broadcast(FLOATS, decay);
        var in = FloatVector.fromArray(FLOATS, x, xAt).mul(dt);
        var sum = FloatVector.zero(FLOATS);
        for (int n = 0; n < stateDim; n++) {
            long at = stateAt + 4L * n * headDim;
            var s = FloatVector.broadcast(FLOATS, b[bAt + n])
                    .fma(in, FloatVector.fromMemorySegment(FLOATS, state, at, LITTLE_ENDIAN).mul(decays));
            s.intoMemorySegment(state, at, LITTLE_ENDIAN);
            sum = s.fma(FloatVector.broadcast(FLOATS, c[cAt + n]), sum);
        }
        addSkip(sum, skip, x, xAt, y, yAt);
    }

    private static void recurLane(MemorySegment state, long stateAt, int stateDim, int headDim, float decay, float dt,
            float skip, float[] x, int xAt, float[] b, int bAt, float[] c, int cAt, float[] y, int yAt) {
        float input = dt * x[xAt];
        float sum = 0;
        for (int n = 0; n < stateDim; n++) {
            long at = stateAt + 4L * n * headDim;
            float next = Math.fma(b[bAt + n], input, decay * state.get(JAVA_FLOAT_UNALIGNED, at));
            state.set(JAVA_FLOAT_UNALIGNED, at, next);
            sum = Math.fma(next, c[cAt + n], sum);
        }
        y[yAt] = Math.fma(skip, x[xAt], sum);
    }

    @Override
    public void gate(float[] gate, int gateAt, float[] y, int yAt, int n) {
        int bound = FLOATS.loopBound(n);
        for (int i = 0; i < bound; i += LANES) {
            FloatVector.fromArray(FLOATS, y, yAt + i).mul(silu(FloatVector.fromArray(FLOATS, gate, gateAt + i)))
                    .intoArray(y, yAt + i);
        }
        SCALAR.gate(gate, gateAt + bound, y, yAt + bound, n - bound);
    }

    @Override
    public void scores(float[] q, int qAt, int heads, int headDim, float[] keys, int valid, float scale,
            float[] scores) {
        for (int token = 0; token < valid; token += 2 * LANES) {
            int head = 0;
            for (; head + 4 <= heads; head += 4) {
                scoresOfFour(q, qAt + head * headDim, headDim, keys, token, scale, scores, head);
            }
            for (; head < heads; head++) {
                scoresOfOne(q, qAt + head * headDim, headDim, keys, token, scale, scores, head);
            }
        }
    }

    /// Four heads against two vectors of keys: a key is loaded once for all of them.
    private static void scoresOfFour(float[] q, int qAt, int headDim, float[] keys, int token, float scale,
            float[] scores, int head) {
        int width = CacheShape.BLOCK_TOKENS;
        var a0 = FloatVector.zero(FLOATS);
        var a1 = a0;
        var a2 = a0;
        var a3 = a0;
        var b0 = a0;
        var b1 = a0;
        var b2 = a0;
        var b3 = a0;
        for (int d = 0; d < headDim; d++) {
            var left = FloatVector.fromArray(FLOATS, keys, d * width + token);
            var right = FloatVector.fromArray(FLOATS, keys, d * width + token + LANES);
            var q0 = FloatVector.broadcast(FLOATS, q[qAt + d]);
            var q1 = FloatVector.broadcast(FLOATS, q[qAt + headDim + d]);
            var q2 = FloatVector.broadcast(FLOATS, q[qAt + 2 * headDim + d]);
            var q3 = FloatVector.broadcast(FLOATS, q[qAt + 3 * headDim + d]);
            a0 = left.fma(q0, a0);
            b0 = right.fma(q0, b0);
            a1 = left.fma(q1, a1);
            b1 = right.fma(q1, b1);
            a2 = left.fma(q2, a2);
            b2 = right.fma(q2, b2);
            a3 = left.fma(q3, a3);
            b3 = right.fma(q3, b3);
        }
        int at = head * width + token;
        storeScores(a0, b0, scale, scores, at);
        storeScores(a1, b1, scale, scores, at + width);
        storeScores(a2, b2, scale, scores, at + 2 * width);
        storeScores(a3, b3, scale, scores, at + 3 * width);
    }

    private static void scoresOfOne(float[] q, int qAt, int headDim, float[] keys, int token, float scale,
            float[] scores, int head) {
        int width = CacheShape.BLOCK_TOKENS;
        var a = FloatVector.zero(FLOATS);
        var b = a;
        for (int d = 0; d < headDim; d++) {
            var qs = FloatVector.broadcast(FLOATS, q[qAt + d]);
            a = FloatVector.fromArray(FLOATS, keys, d * width + token).fma(qs, a);
            b = FloatVector.fromArray(FLOATS, keys, d * width + token + LANES).fma(qs, b);
        }
        storeScores(a, b, scale, scores, head * width + token);
    }

    private static void storeScores(FloatVector left, FloatVector right, float scale, float[] scores, int at) {
        left.mul(scale).intoArray(scores, at);
        right.mul(scale).intoArray(scores, at + LANES);
    }

    @Override
    public float maximum(float[] scores, int at, int valid, float floor) {
        return SCALAR.maximum(scores, at, valid, floor);
    }

    @Override
    public float exponentials(float[] scores, int at, int valid, float max) {
        int padded = (valid + LANES - 1) / LANES * LANES;
        Arrays.fill(scores, at + valid, at + padded, Float.NEGATIVE_INFINITY);
        var sums = FloatVector.zero(FLOATS);
        for (int i = 0; i < padded; i += LANES) {
            var weights = exp(FloatVector.fromArray(FLOATS, scores, at + i).sub(max));
            weights.intoArray(scores, at + i);
            // What stands in for minus infinity is e^-86, too small to change a sum that holds e^0.
            sums = sums.add(weights);
        }
        float[] lanes = new float[LANES];
        sums.intoArray(lanes, 0);
        return sumOfLanes(lanes, 0);
    }

    @Override
    public void accumulate(float[] p, int pAt, int valid, float[] values, int headDim, float correction, float[] y,
            int yAt) {
        int d = 0;
        for (; d + 4 * LANES <= headDim; d += 4 * LANES) {
            accumulateFour(p, pAt, valid, values, d, headDim, correction, y, yAt + d);
        }
        for (; d + LANES <= headDim; d += LANES) {
            accumulateOne(p, pAt, valid, values, d, headDim, correction, y, yAt + d);
        }
        for (; d < headDim; d++) {
            float sum = correction * y[yAt + d];
            for (int j = 0; j < valid; j++) {
                sum = Math.fma(p[pAt + j], values[j * headDim + d], sum);
            }
            y[yAt + d] = sum;
        }
    }

    private static void accumulateFour(float[] p, int pAt, int valid, float[] values, int d, int headDim,
            float correction, float[] y, int yAt) {
        var sum0 = FloatVector.fromArray(FLOATS, y, yAt).mul(correction);
        var sum1 = FloatVector.fromArray(FLOATS, y, yAt + LANES).mul(correction);
        var sum2 = FloatVector.fromArray(FLOATS, y, yAt + 2 * LANES).mul(correction);
        var sum3 = FloatVector.fromArray(FLOATS, y, yAt + 3 * LANES).mul(correction);
        for (int j = 0; j < valid; j++) {
            int at = j * headDim + d;
            var weight = FloatVector.broadcast(FLOATS, p[pAt + j]);
            sum0 = FloatVector.fromArray(FLOATS, values, at).fma(weight, sum0);
            sum1 = FloatVector.fromArray(FLOATS, values, at + LANES).fma(weight, sum1);
            sum2 = FloatVector.fromArray(FLOATS, values, at + 2 * LANES).fma(weight, sum2);
            sum3 = FloatVector.fromArray(FLOATS, values, at + 3 * LANES).fma(weight, sum3);
        }
        sum0.intoArray(y, yAt);
        sum1.intoArray(y, yAt + LANES);
        sum2.intoArray(y, yAt + 2 * LANES);
        sum3.intoArray(y, yAt + 3 * LANES);
    }

    private static void accumulateOne(float[] p, int pAt, int valid, float[] values, int d, int headDim,
            float correction, float[] y, int yAt) {
        var sum = FloatVector.fromArray(FLOATS, y, yAt).mul(correction);
        for (int j = 0; j < valid; j++) {
            sum = FloatVector.fromArray(FLOATS, values, j * headDim + d)
                    .fma(FloatVector.broadcast(FLOATS, p[pAt + j]), sum);
        }
        sum.intoArray(y, yAt);
    }
}
