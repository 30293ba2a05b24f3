package dev.sidewinder.model;

import dev.sidewinder.model.checkpoint.Checkpoint;
import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.checkpoint.ModelFolder;
import dev.sidewinder.model.checkpoint.TensorSet;
import dev.sidewinder.model.synthetic.SyntheticModel;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/// Where the files of a model come from.
sealed interface ModelFiles {

    /// Bound on the JSON and template files. The largest known, the config of a quantised Super, stays below 10 MB.
    int MAX_TEXT_BYTES = 64 << 20;

    /// The name to serve the model under.
    String name();

    /// The content of a text file, if it is there.
    Optional<byte[]> read(String file);

    /// Opens the weights.
    TensorSet tensors();

    Optional<Tokenizer> tokenizer();

    /// A checkpoint folder.
    record OnDisk(ModelFolder folder) implements ModelFiles {
        @Override
        public String name() {
            return folder.name();
        }

        @Override
        public Optional<byte[]> read(String file) {
            return folder.read(file, MAX_TEXT_BYTES);
        }

        @Override
        public TensorSet tensors() {
            return Checkpoint.open(folder);
        }

        @Override
        public Optional<Tokenizer> tokenizer() {
            return folder.find("tokenizer.json").map(Tokenizer::open);
        }
    }

    /// Random weights and the files that go with them.
    record Synthetic(String name, SyntheticModel model, Map<String, byte[]> files) implements ModelFiles {
        @Override
        public Optional<byte[]> read(String file) {
            return Optional.ofNullable(files.get(file));
        }

        @Override
        public TensorSet tensors() {
            return model.tensors();
        }

        /// The tokenizer library reads files only.
        @Override
        public Optional<Tokenizer> tokenizer() {
            Optional<byte[]> content = read("tokenizer.json");
            if (content.isEmpty()) {
                return Optional.empty();
            }
            try {
                Path folder = Files.createTempDirectory("sidewinder-tokenizer");
                Path file = folder.resolve("tokenizer.json");
                try {
                    return Optional.of(Tokenizer.open(Files.write(file, content.get())));
                } finally {
                    Files.deleteIfExists(file);
                    Files.delete(folder);
                }
            } catch (IOException failed) {
                throw new CheckpointException("tokenizer.json: cannot be unpacked into a temporary file: " + failed,
                        failed);
            }
        }
    }
}
