package dev.sidewinder.cuda.kernel;

import java.util.HashMap;
import java.util.Map;
import java.util.Random;

/// The numbers of one sequence, and attention over them in double precision.
///
/// They follow from case seed, identity and position alone, so the same sequence can be cut, moved and put among others.
final class AttentionNumbers {

    /// Scales of query rows: usual, flat, sharp, zero, and far below and above what f16 holds. The last leaves one token.
    private static final float[] QUERY_SCALES = {1, 0.3f, 4, 0, 1e-25f, 1, 2, 1e6f};

    private final AttentionCase attention;
    private final int identity;
    private final Map<Integer, float[]> keys = new HashMap<>();
    private final Map<Integer, float[]> values = new HashMap<>();

    /// The sequences of a check, each made once.
    static final class Sequences {

        private final AttentionCase attention;
        private final Map<Integer, AttentionNumbers> known = new HashMap<>();

        Sequences(AttentionCase attention) {
            this.attention = attention;
        }

        AttentionNumbers of(int identity) {
            return known.computeIfAbsent(identity, i -> new AttentionNumbers(attention, i));
        }
    }

    private AttentionNumbers(AttentionCase attention, int identity) {
        this.attention = attention;
        this.identity = identity;
    }

    private Random random(int what, int position) {
        long mixed = attention.seed() * 0x9E3779B97F4A7C15L + identity * 0xC2B2AE3D27D4EB4FL + what * 0x165667B19E3779F9L + position;
        return new Random(mixed ^ mixed >>> 29);
    }

    /// A number as it comes out of the projection.
    private float arrived(float value) {
        return attention.queries() == ActivationRows.Type.BF16 ? SmallFloats.roundToBf16(value) : value;
    }

    /// `[queryHeads, headDim]` of a token.
    float[] queries(int position) {
        AttentionShape shape = attention.shape();
        Random random = random(1, position);
        float[] values = new float[shape.queryHeads() * shape.headDim()];
        for (int head = 0; head < shape.queryHeads(); head++) {
            float scale = QUERY_SCALES[(head + position) % QUERY_SCALES.length];
            for (int i = 0; i < shape.headDim(); i++) {
                values[head * shape.headDim() + i] = arrived(scale * (float) random.nextGaussian());
            }
        }
        return values;
    }

    /// `[kvHeads, headDim]`.
    float[] keys(int position) {
        return keys.computeIfAbsent(position, p -> tokens(2, p, 0, attention.keyScale()));
    }

    float[] values(int position) {
        return values.computeIfAbsent(position, p -> tokens(3, p, 0.5f, attention.valueScale()));
    }

    private float[] tokens(int what, int position, float mean, float scale) {
        AttentionShape shape = attention.shape();
        Random random = random(what, position);
        float[] values = new float[shape.kvHeads() * shape.headDim()];
        for (int i = 0; i < values.length; i++) {
            float value = (float) random.nextGaussian() + mean;
            values[i] = arrived(attention.cache() == CacheType.E4M3 ? value * scale : value);
        }
        return values;
    }

    /// What the cache holds for a number, times its scale.
    double stored(float value, float scale) {
        return switch (attention.cache()) {
            case BF16 -> SmallFloats.roundToBf16(value);
            case E4M3 -> (double) SmallFloats.e4m3(SmallFloats.e4m3Code(value / scale)) * scale;
        };
    }

    /// A query as the kernel multiplies it: rounded to the number format of the products.
    private double query(float value) {
        if (!attention.shape().isTiled()) {
            return value;
        }
        return switch (attention.cache()) {
            case BF16 -> SmallFloats.roundToBf16(value);
            case E4M3 -> SmallFloats.roundTo11Bits(value);
        };
    }

    /// @param values the result `[headDim]`
    /// @param magnitudes the same with the magnitudes of the values: what errors of probabilities are relative to
    record Attended(double[] values, double[] magnitudes) {}

    /// Widened keys and values of the first tokens, `[tokens][kvHeads * headDim]`.
    double[][] context(int tokens, boolean keys) {
        double[][] rows = new double[tokens][];
        for (int t = 0; t < tokens; t++) {
            float[] from = keys ? keys(t) : values(t);
            double[] to = new double[from.length];
            for (int i = 0; i < to.length; i++) {
                to[i] = stored(from[i], keys ? attention.keyScale() : attention.valueScale());
            }
            rows[t] = to;
        }
        return rows;
    }

    /// Attention of one token and query head.
    Attended attend(int position, int head, float[] queries, double[][] keys, double[][] values, double scoreScale) {
        AttentionShape shape = attention.shape();
        int headDim = shape.headDim();
        int kvAt = head / shape.group() * headDim;
        double[] query = new double[headDim];
        for (int i = 0; i < headDim; i++) {
            query[i] = query(queries[head * headDim + i]);
        }
        double[] scores = new double[position + 1];
        double maximum = Double.NEGATIVE_INFINITY;
        for (int t = 0; t <= position; t++) {
            double product = 0;
            for (int i = 0; i < headDim; i++) {
                product += query[i] * keys[t][kvAt + i];
            }
            scores[t] = product * scoreScale;
            maximum = Math.max(maximum, scores[t]);
        }
        double sum = 0;
        double[] result = new double[headDim];
        double[] magnitudes = new double[headDim];
        for (int t = 0; t <= position; t++) {
            double weight = Math.exp(scores[t] - maximum);
            sum += weight;
            for (int i = 0; i < headDim; i++) {
                result[i] += weight * values[t][kvAt + i];
                magnitudes[i] += weight * Math.abs(values[t][kvAt + i]);
            }
        }
        for (int i = 0; i < headDim; i++) {
            result[i] /= sum;
            magnitudes[i] /= sum;
        }
        return new Attended(result, magnitudes);
    }
}
