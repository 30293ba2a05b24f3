package dev.sidewinder.engine.cpu;

import java.lang.foreign.MemorySegment;

/// The inner loops of the forward pass, once in plain Java ([ScalarMath], the reference) and once with the Vector API
/// ([VectorMath]).
///
/// Each output is summed in one fixed order that its own sizes decide, never by what is computed beside it; within one
/// implementation the same inputs give the same bits. (For this the Vector API's own cross-lane sums and its `EXP` are of
/// no use: the order of the one and the bits of the other differ between interpreted and compiled code.)
/// Offsets into arrays count elements, offsets into segments count bytes. Safe for use by many threads.
sealed interface CpuMath permits ScalarMath, VectorMath {

    /// Scratch floats that [#product] needs.
    int PRODUCT_SCRATCH = 1024;

    /// The fast implementation where the JVM was started with the incubator module, else the plain one. The only place
    /// that decides.
    static CpuMath best() {
        boolean present = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
        return present ? VectorMath.INSTANCE : ScalarMath.INSTANCE;
    }

    /// For the start-up log.
    String description();

    /// `y = x * rsqrt(mean(x^2) + epsilon) * weight` over `n` values. `y` may be `x`.
    void rmsNorm(float[] x, int xAt, float[] weight, int weightAt, float epsilon, float[] y, int yAt, int n);

    /// `out[r, c] = sum over i of a[r, i] * w[c, i]`, all sums fp32.
    ///
    /// @param a       fp32 `[rows, inner]`
    /// @param w       fp32 or bf16 `[columns, inner]`; any alignment
    /// @param bf16    which of the two
    /// @param out     fp32 `[rows, columns]`
    /// @param scratch [#PRODUCT_SCRATCH] floats, overwritten
    void product(MemorySegment a, long aAt, int rows, int inner, MemorySegment w, long wAt, boolean bf16, int columns,
            MemorySegment out, float[] scratch);

    /// Rounds to bf16 (nearest, ties to even; NaN stays NaN).
    void toBf16(float[] source, int sourceAt, MemorySegment target, long targetAt, int n);

    /// Rounds to bf16 and widens again: fp32 values that bf16 can hold.
    void roundToBf16(float[] source, int sourceAt, MemorySegment target, long targetAt, int n);

    /// Splits into two bf16 values whose sum keeps 16 bits of the mantissa: `high` is the rounded value, `low` what is left,
    /// rounded.
    void toBf16Pair(float[] source, int sourceAt, MemorySegment target, long highAt, long lowAt, int n);

    /// `result[r] = result[2 r] + result[2 r + 1]` for rows of `columns` fp32 values, in place.
    void addPairs(MemorySegment result, int rows, int columns);

    /// Widens bf16.
    void fromBf16(MemorySegment source, long sourceAt, float[] target, int targetAt, int n);

    /// `y = max(x, 0)^2`
    void squaredRelu(float[] x, int xAt, float[] y, int yAt, int n);

    /// `y += factor * x`
    void addScaled(float factor, float[] x, int xAt, float[] y, int yAt, int n);

    /// Causal convolution of one token with SiLU behind: `y[c] = silu(bias[c] + sum over j of w[j, c] * x[j, c])`.
    ///
    /// @param x    fp32 `[taps, channels]`, oldest token first, row after row
    /// @param w    fp32 `[taps, channels]`
    void convolve(float[] x, int xAt, float[] w, float[] bias, int taps, int channels, float[] y, int yAt);

    /// One head of the Mamba-2 recurrence over one token:
    /// `S[n, p] = decay * S[n, p] + b[n] * (dt * x[p])`, `y[p] = sum over n of S[n, p] * c[n] + skip * x[p]`.
    ///
    /// @param state fp32 `[stateDim, headDim]`, read and written in place
    void recur(MemorySegment state, long stateAt, int stateDim, int headDim, float decay, float dt, float skip,
            float[] x, int xAt, float[] b, int bAt, float[] c, int cAt, float[] y, int yAt);

    /// `y *= silu(gate)`
    void gate(float[] gate, int gateAt, float[] y, int yAt, int n);

    /// Scores of some query heads against one block of keys: `scores[h, j] = scale * sum over d of q[h, d] * keys[d, j]`.
    ///
    /// @param q      fp32 `[heads, headDim]`
    /// @param keys   fp32 `[headDim, 128]`: one column per token
    /// @param valid  tokens of the block that count; the rest of `keys` may hold anything
    /// @param scores fp32 `[heads, 128]`; columns from `valid` on are left undefined
    void scores(float[] q, int qAt, int heads, int headDim, float[] keys, int valid, float scale, float[] scores);

    /// The largest of the first `valid` scores, or `floor` when that is larger.
    float maximum(float[] scores, int at, int valid, float floor);

    /// Softmax weights of one row of scores relative to a maximum: `p[j] = exp(s[j] - max)` for `j < valid`, in place.
    /// The row has room for 128; what lies behind `valid` is overwritten.
    ///
    /// @return their sum
    float exponentials(float[] scores, int at, int valid, float max);

    /// `y[d] = correction * y[d] + sum over j of p[j] * values[j, d]`, `j` in order.
    ///
    /// @param values fp32 `[128, headDim]`: one row per token
    void accumulate(float[] p, int pAt, int valid, float[] values, int headDim, float correction, float[] y, int yAt);
}
