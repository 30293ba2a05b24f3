package dev.sidewinder.engine.cpu;

import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.TensorView;
import dev.sidewinder.model.checkpoint.WeightReader;

/// Token ids to rows of the residual stream.
final class Embedding {

    private final CpuMath math;
    private final TensorView table;
    private final int width;
    private final int tokens;
    private final WeightReader reader = new WeightReader();

    Embedding(CpuMath math, TensorView table, int width, int tokens) {
        this.math = math;
        this.table = table;
        this.width = width;
        this.tokens = tokens;
    }

    void lookUp(int token, float[] residual, int row) {
        if (token < 0 || token >= tokens) {
            throw new IllegalArgumentException("token " + token + "; the vocabulary has " + tokens);
        }
        if (table.type() == DType.BF16) {
            math.fromBf16(table.data(), 2L * token * width, residual, row * width, width);
        } else {
            reader.read(table, (long) token * width, width, residual, row * width);
        }
    }
}
