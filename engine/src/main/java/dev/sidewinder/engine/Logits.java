package dev.sidewinder.engine;

/// Rows of logits, fp32, one after the other in `values`; more room than rows is allowed.
///
/// @param values at least `rows x vocabSize` floats
public record Logits(float[] values, int rows, int vocabSize) {

    /// Index of the first value of a row.
    public int offset(int row) {
        return Math.multiplyExact(row, vocabSize);
    }
}
