package dev.sidewinder.model;

import dev.sidewinder.model.chat.ChatTemplate;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.model.config.GenerationConfig;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.util.Optional;

/// Everything a checkpoint folder (or a synthetic shape) offers. Closing it unmaps the weights: close the engine first.
public interface Model extends AutoCloseable {

    /// Opens a model.
    ///
    /// A folder is mapped, so that opening takes milliseconds whatever its size; a synthetic model is computed on the spot.
    ///
    /// | location                                     | what it is                                                |
    /// |----------------------------------------------|-----------------------------------------------------------|
    /// | `path/to/folder`                             | a checkpoint folder                                       |
    /// | `synthetic:tiny`                             | random weights of a named shape, BF16, seed 0             |
    /// | `synthetic:tiny,layers=MEM*E,hidden=128`     | the same with single dimensions changed                   |
    /// | `synthetic:bench-1b?format=fp8&seed=7`       | another number format (`bf16`, `fp8`, `nvfp4`), another seed |
    /// | `synthetic:nano-30b-fp8`                     | the format behind the shape's name                        |
    ///
    /// Shapes and dimensions are those of [dev.sidewinder.model.synthetic.ShapeSpec].
    ///
    /// @param location a checkpoint folder, or `synthetic:<shape>` for seeded random weights in memory
    /// @throws dev.sidewinder.model.checkpoint.CheckpointException when the files are not what they should be
    static Model open(String location) {
        Model model = openUnmade(location);
        boolean complete = false;
        try {
            model.makeWeights();
            complete = true;
            return model;
        } finally {
            if (!complete) {
                model.close();
            }
        }
    }

    /// Opens a model whose weights, where they are synthetic, are made when they are first read: for whoever makes them
    /// elsewhere, as a GPU does, and for looking at models larger than the machine. Otherwise like [#open].
    static Model openUnmade(String location) {
        return ModelLoader.open(location);
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

    /// Layers, formats, parameters and bytes, for people.
    ModelSummary summary();

    /// Makes the weights of a synthetic model that have not been read yet, on all processors, so that nobody waits for them
    /// later.
    ///
    /// @throws dev.sidewinder.model.checkpoint.CheckpointException when the machine has less memory than they take
    void makeWeights();

    @Override
    void close();
}
