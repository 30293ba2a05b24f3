package dev.sidewinder.engine;

import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.sidewinder.model.checkpoint.Bf16;
import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.checkpoint.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Weights of a model that computes NaN or infinity where a token occurs.
public final class SpoiledWeights {

    private SpoiledWeights() {}

    /// Puts a value into the embedding of a token, whose vector is stored in bf16.
    ///
    /// @param column of the vector
    public static ModelWeights at(ModelWeights weights, int token, int column, float value) {
        TensorView table = weights.embeddings();
        if (table.type() != DType.BF16) {
            throw new IllegalArgumentException("embeddings in " + table.type());
        }
        int width = Math.toIntExact(table.shape().get(1));
        MemorySegment data = Arena.ofAuto().allocate(2 * table.elements(), 16);
        data.copyFrom(table.data());
        data.setAtIndex(JAVA_SHORT_UNALIGNED, (long) token * width + column, Bf16.encode(value));
        return new ModelWeights(new TensorView(table.name(), table.type(), table.shape(), data), weights.layers(), weights.finalNorm(),
                weights.head());
    }
}
