package dev.sidewinder.engine.cpu;

import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.ModelWeights;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// The matrices of a model that run as large products: all but embedding and routers.
///
/// @param matrices in the order in which they are loaded
record LinearInventory(List<LinearWeight> matrices) {

    static LinearInventory of(ModelWeights weights) {
        var matrices = new ArrayList<LinearWeight>();
        for (LayerWeights layer : weights.layers()) {
            switch (layer) {
                case LayerWeights.Mamba mamba -> {
                    matrices.add(mamba.inProjection());
                    matrices.add(mamba.outProjection());
                }
                case LayerWeights.Attention attention -> matrices.addAll(
                        List.of(attention.query(), attention.key(), attention.value(), attention.output()));
                case LayerWeights.Experts experts -> {
                    matrices.addAll(experts.up());
                    matrices.addAll(experts.down());
                    experts.sharedUp().ifPresent(matrices::add);
                    experts.sharedDown().ifPresent(matrices::add);
                    experts.latentIn().ifPresent(matrices::add);
                    experts.latentOut().ifPresent(matrices::add);
                }
                case LayerWeights.Mlp mlp -> matrices.addAll(List.of(mlp.up(), mlp.down()));
            }
        }
        matrices.add(weights.head());
        return new LinearInventory(matrices);
    }

    /// The shapes of all tiles they are cut into.
    Set<DnnlKernels.Shape> tileShapes() {
        var shapes = new HashSet<DnnlKernels.Shape>();
        for (LinearWeight matrix : matrices) {
            int whole = Math.min(matrix.outputs(), Linear.TILE_COLUMNS);
            shapes.add(new DnnlKernels.Shape(matrix.inputs(), whole));
            int last = matrix.outputs() % Linear.TILE_COLUMNS;
            shapes.add(new DnnlKernels.Shape(matrix.inputs(), last == 0 ? whole : last));
        }
        return shapes;
    }
}
