package dev.sidewinder.model;

import dev.sidewinder.model.chat.ChatTemplate;
import dev.sidewinder.model.checkpoint.Checkpoint;
import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.checkpoint.ModelFolder;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.checkpoint.TensorSet;
import dev.sidewinder.model.checkpoint.WeightBinder;
import dev.sidewinder.model.config.ConfigReader;
import dev.sidewinder.model.config.GenerationConfigReader;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.model.config.QuantizationConfigReader;
import dev.sidewinder.model.config.TokenizerConfigReader;
import dev.sidewinder.model.synthetic.SyntheticModel;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/// Puts a [Model] together from its files.
final class ModelLoader {

    private static final String TOKENIZER_CONFIG = "tokenizer_config.json";
    private static final String CHAT_TEMPLATE = "chat_template.jinja";

    private ModelLoader() {}

    static Model open(String location) {
        if (location.startsWith(SyntheticModel.PREFIX)) {
            SyntheticModel model = SyntheticModel.parse(location);
            return load(new ModelFiles.Synthetic(location, model, model.files()), true);
        }
        return load(new ModelFiles.OnDisk(new ModelFolder(path(location))), false);
    }

    private static Path path(String location) {
        try {
            return Path.of(location);
        } catch (InvalidPathException invalid) {
            throw new CheckpointException("\"" + location + "\" is neither a path nor \"" + SyntheticModel.PREFIX
                    + "<shape>\"", invalid);
        }
    }

    private static Model load(ModelFiles files, boolean synthetic) {
        byte[] configBytes = files.read("config.json").orElseThrow(() -> new CheckpointException(files.name()
                + ": has no config.json; expected the folder of a nemotron_h checkpoint"));
        ModelConfig config = ConfigReader.read("config.json", configBytes);
        var generation = GenerationConfigReader.read("generation_config.json", files.read("generation_config.json"),
                config);
        var quantization = QuantizationConfigReader.read(files.read("hf_quant_config.json"), configBytes);
        TensorSet tensors = files.tensors();
        Optional<Tokenizer> tokenizer = Optional.empty();
        boolean complete = false;
        try {
            ModelWeights weights = WeightBinder.bind(config, tensors, quantization);
            tokenizer = files.tokenizer();
            tokenizer.ifPresent(found -> checkVocabulary(found, config));
            Optional<ChatTemplate> template = tokenizer.isEmpty() ? Optional.empty() : template(files);
            String fingerprint = Fingerprint.of(config, tensors.tensors());
            if (tensors instanceof Checkpoint checkpoint) {
                checkpoint.checkUnchanged();
            }
            complete = true;
            return new LoadedModel(files.name(), config, generation, weights, tokenizer, template, synthetic,
                    fingerprint, NumberFormats.most(weights), tensors);
        } finally {
            if (!complete) {
                tokenizer.ifPresent(Tokenizer::close);
                tensors.close();
            }
        }
    }

    private static void checkVocabulary(Tokenizer tokenizer, ModelConfig config) {
        if (tokenizer.vocabSize() > config.vocabSize()) {
            throw new CheckpointException("tokenizer.json: has ids up to " + (tokenizer.vocabSize() - 1)
                    + ", but the model has only " + config.vocabSize() + " rows of embeddings");
        }
    }

    private static Optional<ChatTemplate> template(ModelFiles files) {
        Optional<byte[]> tokenizerConfig = files.read(TOKENIZER_CONFIG);
        Map<String, String> specialTokens = tokenizerConfig
                .map(content -> TokenizerConfigReader.specialTokens(TOKENIZER_CONFIG, content)).orElse(Map.of());
        Optional<byte[]> file = files.read(CHAT_TEMPLATE);
        if (file.isPresent()) {
            return Optional.of(ChatTemplate.compile(CHAT_TEMPLATE, utf8(CHAT_TEMPLATE, file.get()), specialTokens));
        }
        return tokenizerConfig.flatMap(content -> TokenizerConfigReader.chatTemplate(TOKENIZER_CONFIG, content))
                .map(source -> ChatTemplate.compile(TOKENIZER_CONFIG, source, specialTokens));
    }

    private static String utf8(String file, byte[] content) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(content)).toString();
        } catch (CharacterCodingException malformed) {
            throw new CheckpointException(file + ": is not UTF-8 text", malformed);
        }
    }
}
