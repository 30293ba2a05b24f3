package dev.sidewinder.engine;

import java.util.BitSet;

/// Rows of logits, fp32, one after the other in `values`; more room than rows is allowed.
///
/// @param values  at least `rows x vocabSize` floats
/// @param spoiled entries of the batch that are pieces of prompts and left NaN or infinity in the last hidden state of one of
///                their tokens, whether or not logits were wanted of it
public record Logits(float[] values, int rows, int vocabSize, BitSet spoiled) {

    /// Of pieces that are all right.
    public Logits(float[] values, int rows, int vocabSize) {
        this(values, rows, vocabSize, new BitSet());
    }

    /// Index of the first value of a row.
    public int offset(int row) {
        return Math.multiplyExact(row, vocabSize);
    }
}
