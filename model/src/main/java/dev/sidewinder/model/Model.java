package dev.sidewinder.model;

import dev.sidewinder.model.chat.ChatTemplate;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.model.config.GenerationConfig;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.Optional;

/// Everything a checkpoint folder (or a synthetic shape) offers. Closing it unmaps the weights: close the engine first.
public interface Model extends AutoCloseable {

    /// Opens a model.
    ///
    /// @param location a checkpoint folder, or `synthetic:<shape>` for seeded random weights in memory
    /// @throws dev.sidewinder.model.checkpoint.CheckpointException when the files are not what they should be
    static Model open(String location) {
        return ModelLoader.open(Path.of(location));
    }

    /// The name to serve it under by default: the folder's name, or the location of a synthetic model.
    String name();

    ModelConfig config();

    GenerationConfig generationConfig();

    ModelWeights weights();

    /// Absent for checkpoints that serve token ids only.
    Optional<Tokenizer> tokenizer();

    /// Absent when the checkpoint has no template or no tokenizer.
    Optional<ChatTemplate> chatTemplate();

    /// Whether the weights are random numbers made on the spot.
    boolean synthetic();

    /// Changes when the weights or their number format change; for `system_fingerprint`. Cheap: sizes, names, config.
    String fingerprint();

    /// The number format most weights are stored in: `bf16`, `fp8`, `nvfp4`, `f32`, `f16`.
    String numberFormat();

    @Override
    void close();
}
