package dev.sidewinder.model;

import dev.sidewinder.model.chat.ChatTemplate;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.checkpoint.TensorSet;
import dev.sidewinder.model.config.GenerationConfig;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.util.Optional;

/// A model whose parts have all been read. Owns tensors and tokenizer.
record LoadedModel(String name, ModelConfig config, GenerationConfig generationConfig, ModelWeights weights,
        Optional<Tokenizer> tokenizer, Optional<ChatTemplate> chatTemplate, boolean synthetic, String fingerprint,
        String numberFormat, TensorSet tensors) implements Model {

    @Override
    public ModelSummary summary() {
        return ModelSummary.of(config, tensors);
    }

    @Override
    public void makeWeights() {
        tensors.makeAll();
    }

    @Override
    public void close() {
        tokenizer.ifPresent(Tokenizer::close);
        tensors.close();
    }
}
