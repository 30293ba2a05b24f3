package dev.sidewinder.model.config;

import java.util.List;

/// The shape of a model: what `config.json` says, in one spelling and checked.
///
/// @param hiddenSize            width of the residual stream
/// @param vocabSize             rows of embedding and head
/// @param normEpsilon           epsilon of every RMS norm
/// @param layers                one entry per layer, in order
/// @param maxPositionEmbeddings length the publisher states; not a hard limit, the model has no positions
/// @param tiedEmbeddings        whether the head is the embedding
/// @param bosTokenId            start token, -1 when the file names none
/// @param eosTokenIds           stop tokens of `config.json` (generation_config.json has the better list)
/// @param padTokenId            padding token, -1 when the file names none
/// @param draftLayers           layers of the multi-token prediction block; 0 when there is none
public record ModelConfig(int hiddenSize, int vocabSize, float normEpsilon, List<LayerSpec> layers,
        int maxPositionEmbeddings, boolean tiedEmbeddings, int bosTokenId, List<Integer> eosTokenIds, int padTokenId,
        int draftLayers) {

    public ModelConfig {
        layers = List.copyOf(layers);
        eosTokenIds = List.copyOf(eosTokenIds);
    }

    /// The layer kinds in the publisher's notation, for example `MEM*E`.
    public String pattern() {
        var pattern = new StringBuilder(layers.size());
        layers.forEach(layer -> pattern.append(layer.letter()));
        return pattern.toString();
    }
}
