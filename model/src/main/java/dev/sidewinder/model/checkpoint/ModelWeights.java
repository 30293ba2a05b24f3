package dev.sidewinder.model.checkpoint;

import java.util.List;

/// All weights of a model by role.
///
/// @param embeddings `[vocab, hidden]`
/// @param layers     one per layer, of the kind the config says
/// @param finalNorm  `[hidden]`
/// @param head       `[vocab, hidden]`
public record ModelWeights(TensorView embeddings, List<LayerWeights> layers, TensorView finalNorm,
        LinearWeight head) {
    public ModelWeights {
        layers = List.copyOf(layers);
    }
}
