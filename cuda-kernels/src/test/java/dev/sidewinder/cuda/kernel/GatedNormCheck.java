package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Device;
import java.util.Random;

/// Compares `gated_norm` with gate and norm in double precision. One row holds NaN, and must keep it for itself.
final class GatedNormCheck {

    /// Sums in fp32, gate by approximate exponential and reciprocal, a pair of bf16.
    private static final double TOLERANCE_PAIR = 2e-5;
    /// Rounding to bf16: 2^-8 at most.
    private static final double TOLERANCE_BF16 = 4e-3;
    /// 3 bits behind the point: 2^-4 at most.
    private static final double TOLERANCE_E4M3 = 6.3e-2;
    static final float INPUT_SCALE = 0.037f;
    private static final float E4M3_LARGEST = 448;

    private final Device device;
    private final Kernels kernels;

    enum Target {
        BF16, PAIR, E4M3;

        /// What this form can hold of values: e4m3 saturates.
        double[] of(double[] values) {
            double[] held = values.clone();
            for (int i = 0; i < held.length && this == E4M3; i++) {
                held[i] = Math.clamp(held[i], -E4M3_LARGEST * INPUT_SCALE, E4M3_LARGEST * INPUT_SCALE);
            }
            return held;
        }
    }

    record Case(MambaShape shape, FloatFormat y, FloatFormat projected, Target target, int rows, long seed) {}

    GatedNormCheck(Device device, Kernels kernels) {
        this.device = device;
        this.kernels = kernels;
    }

    void check(Case c) {
        Random random = new Random(c.seed());
        MambaShape shape = c.shape();
        MambaWeights weights = MambaWeights.random(shape, true, random);
        int width = shape.innerDim();
        float[] y = MambaWeights.gaussian(c.rows() * width, 2, random);
        float[] projected = MambaWeights.gaussian(c.rows() * shape.rowWidth(), 2, random);
        int poisoned = random.nextInt(c.rows());
        y[poisoned * width + random.nextInt(width)] = Float.NaN;
        round(y, c.y());
        round(projected, c.projected());

        float[] found;
        try (DeviceArrays arrays = new DeviceArrays(device)) {
            GatedNorm.Inputs inputs = new GatedNorm.Inputs(arrays.of(c.y(), y), c.y(), arrays.of(c.projected(), projected),
                    c.projected(), arrays.floats(weights.norm()));
            found = run(c, arrays, new GatedNorm(kernels, shape, weights.epsilon()), inputs);
        }

        MambaReference reference = new MambaReference(weights);
        double tolerance = switch (c.target()) {
            case BF16 -> TOLERANCE_BF16;
            case PAIR -> TOLERANCE_PAIR;
            case E4M3 -> TOLERANCE_E4M3;
        };
        for (int row = 0; row < c.rows(); row++) {
            if (row == poisoned) {
                continue;
            }
            double[] in = new double[width];
            for (int i = 0; i < width; i++) {
                in[i] = y[row * width + i];
            }
            double[] expected = c.target().of(reference.gateAndNormalise(in, projected, row * shape.rowWidth()));
            float[] actual = new float[width];
            System.arraycopy(found, row * width, actual, 0, width);
            Closeness.check(c + ": row " + row, actual, expected, tolerance);
        }
    }

    private static void round(float[] values, FloatFormat format) {
        for (int i = 0; i < values.length && format == FloatFormat.BF16; i++) {
            values[i] = DeviceArrays.bf16(values[i]);
        }
    }

    private float[] run(Case c, DeviceArrays arrays, GatedNorm norm, GatedNorm.Inputs inputs) {
        int count = c.rows() * c.shape().innerDim();
        switch (c.target()) {
            case BF16 -> {
                long out = arrays.unwritten(2L * count);
                norm.run(device.stream(), new ProductInput.Bf16(out), inputs, c.rows());
                return arrays.readBf16(out, count);
            }
            case PAIR -> {
                long high = arrays.unwritten(2L * count);
                long low = arrays.unwritten(2L * count);
                norm.run(device.stream(), new ProductInput.Bf16Pair(high, low), inputs, c.rows());
                float[] sum = arrays.readBf16(high, count);
                float[] rest = arrays.readBf16(low, count);
                for (int i = 0; i < count; i++) {
                    sum[i] += rest[i];
                }
                return sum;
            }
            case E4M3 -> {
                long out = arrays.unwritten(count);
                norm.run(device.stream(), new ProductInput.E4m3(out, INPUT_SCALE), inputs, c.rows());
                float[] codes = arrays.readE4m3(out, count);
                for (int i = 0; i < count; i++) {
                    codes[i] *= INPUT_SCALE;
                }
                return codes;
            }
        }
        throw new AssertionError(c.target());
    }
}
