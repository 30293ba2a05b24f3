package dev.sidewinder.model;

import dev.sidewinder.model.chat.ChatTemplate;
import dev.sidewinder.model.checkpoint.Checkpoint;
import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.checkpoint.ModelFolder;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.checkpoint.WeightBinder;
import dev.sidewinder.model.config.ConfigReader;
import dev.sidewinder.model.config.GenerationConfig;
import dev.sidewinder.model.config.GenerationConfigReader;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.model.config.QuantizationConfigReader;
import dev.sidewinder.model.config.TokenizerConfigReader;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;

/// Puts a [Model] together from the files of a folder.
final class ModelLoader {

    /// Bound on the JSON and template files. The largest known, the config of a quantised Super, stays below 10 MB.
    private static final int MAX_TEXT_BYTES = 64 << 20;

    private ModelLoader() {}

    static Model open(Path path) {
        var folder = new ModelFolder(path);
        byte[] configBytes = folder.read("config.json", MAX_TEXT_BYTES).orElseThrow(() -> new CheckpointException(path
                + ": has no config.json; expected the folder of a nemotron_h checkpoint"));
        ModelConfig config = ConfigReader.read("config.json", configBytes);
        GenerationConfig generation = GenerationConfigReader.read("generation_config.json",
                folder.read("generation_config.json", MAX_TEXT_BYTES), config);
        var quantization = QuantizationConfigReader.read(folder.read("hf_quant_config.json", MAX_TEXT_BYTES),
                configBytes);
        Checkpoint checkpoint = Checkpoint.open(folder);
        Optional<Tokenizer> tokenizer = Optional.empty();
        boolean complete = false;
        try {
            ModelWeights weights = WeightBinder.bind(config, checkpoint, quantization);
            tokenizer = tokenizer(folder, config);
            Optional<ChatTemplate> template = tokenizer.isEmpty() ? Optional.empty() : template(folder);
            String fingerprint = Fingerprint.of(config, checkpoint.tensors());
            checkpoint.checkUnchanged();
            complete = true;
            return new LoadedModel(folder.name(), config, generation, weights, tokenizer, template, false, fingerprint,
                    NumberFormats.most(weights), checkpoint);
        } finally {
            if (!complete) {
                tokenizer.ifPresent(Tokenizer::close);
                checkpoint.close();
            }
        }
    }

    private static Optional<Tokenizer> tokenizer(ModelFolder folder, ModelConfig config) {
        Optional<Path> file = folder.find("tokenizer.json");
        if (file.isEmpty()) {
            return Optional.empty();
        }
        Tokenizer tokenizer = Tokenizer.open(file.get());
        if (tokenizer.vocabSize() > config.vocabSize()) {
            int ids = tokenizer.vocabSize();
            tokenizer.close();
            throw new CheckpointException("tokenizer.json: has ids up to " + (ids - 1) + ", but the model has only "
                    + config.vocabSize() + " rows of embeddings");
        }
        return Optional.of(tokenizer);
    }

    private static Optional<ChatTemplate> template(ModelFolder folder) {
        Optional<byte[]> file = folder.read("chat_template.jinja", MAX_TEXT_BYTES);
        if (file.isPresent()) {
            return Optional.of(ChatTemplate.compile("chat_template.jinja", utf8("chat_template.jinja", file.get())));
        }
        return folder.read("tokenizer_config.json", MAX_TEXT_BYTES)
                .flatMap(content -> TokenizerConfigReader.chatTemplate("tokenizer_config.json", content))
                .map(source -> ChatTemplate.compile("tokenizer_config.json", source));
    }

    private static String utf8(String file, byte[] content) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(content)).toString();
        } catch (CharacterCodingException malformed) {
            throw new CheckpointException(file + ": is not UTF-8 text", malformed);
        }
    }
}
