package dev.sidewinder.engine.cpu;

/// A root-mean-square norm with its weight. Source: Zhang and Sennrich 2019 (arXiv:1910.07467), the definition.
final class RmsNorm {

    private final CpuMath math;
    private final float[] weight;
    private final float epsilon;
    private final float[][] scratch;

    RmsNorm(CpuMath math, float[] weight, float epsilon, int workers) {
        this.math = math;
        this.weight = weight;
        this.epsilon = epsilon;
        this.scratch = new float[workers][weight.length];
    }

    /// Normalises one row of `x` (`[rows, width]`) into a row of `target`.
    void apply(float[] x, int row, SourceRows target, int targetRow, int worker) {
        target.set(targetRow, 0, applied(x, row, worker), 0, weight.length);
    }

    /// The same, in the worker's own scratch: valid until its next call.
    float[] applied(float[] x, int row, int worker) {
        float[] y = scratch[worker];
        math.rmsNorm(x, row * weight.length, weight, 0, epsilon, y, 0, weight.length);
        return y;
    }
}
