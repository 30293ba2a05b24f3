package dev.sidewinder.model.config;

import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.config.JsonFields.Field;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Reads `config.json` into a [ModelConfig], in the publisher's spelling and in the one that transformers 5 writes.
///
/// A field that would change the arithmetic in a way we do not implement (biases, a sliding window, another activation,
/// a clamp on the time step) is refused, never ignored. Positions (`rope_theta`) and `expand` are ignored: the
/// family does not use them.
public final class ConfigReader {

    private static final System.Logger LOG = System.getLogger(ConfigReader.class.getName());

    /// Far above any model of the family (108 layers), small enough to build a list of.
    private static final int MAX_LAYERS = 4096;
    private static final int MAX_DIM = 1 << 24;

    private final JsonFields fields;

    private ConfigReader(JsonFields fields) {
        this.fields = fields;
    }

    /// Reads the content of a `config.json`.
    ///
    /// @param file name for the messages
    /// @throws CheckpointException naming file and field, what was found and what was expected
    public static ModelConfig read(String file, byte[] content) {
        return new ConfigReader(JsonFile.parse(file, content)).read();
    }

    private ModelConfig read() {
        checkModelType();
        refuseWhatWeDoNotCompute();
        String pattern = pattern();
        int vocabSize = fields.integer(1, MAX_DIM, "vocab_size");
        var layers = new LayerReader(fields, pattern).layers();
        return new ModelConfig(
                fields.integer(1, MAX_DIM, "hidden_size"),
                vocabSize,
                (float) fields.positive("layer_norm_epsilon", "norm_eps", "rms_norm_eps"),
                layers,
                fields.integerOr(262_144, 1, Integer.MAX_VALUE, "max_position_embeddings"),
                fields.flagOr(false, "tie_word_embeddings"),
                fields.integerOr(-1, 0, vocabSize - 1, "bos_token_id"),
                fields.integers(0, vocabSize - 1, "eos_token_id"),
                fields.integerOr(-1, -1, vocabSize - 1, "pad_token_id"),
                draftLayers());
    }

    private void checkModelType() {
        String type = fields.text("model_type");
        if (type.equals("nemotron_h_puzzle")) {
            throw new CheckpointException(fields.file() + ": \"model_type\" is \"nemotron_h_puzzle\" (a shape of its own "
                    + "for each layer), which is not supported; expected \"nemotron_h\"");
        }
        if (!type.equals("nemotron_h")) {
            throw fields.refuse(new Field("model_type", fields.node().get("model_type")), "\"nemotron_h\"");
        }
    }

    private void refuseWhatWeDoNotCompute() {
        for (String bias : List.of("attention_bias", "mlp_bias", "use_bias", "mamba_proj_bias")) {
            if (fields.flagOr(false, bias)) {
                throw new CheckpointException(fields.file() + ": \"" + bias + "\" is true; only layers without this "
                        + "bias are supported");
            }
        }
        requireText("mamba_hidden_act", "silu");
        requireText("mlp_hidden_act", "relu2");
        Optional<Field> window = fields.find("sliding_window");
        if (window.isPresent()) {
            throw fields.refuse(window.get(), "null: attention with a window is not supported");
        }
        checkTimeStepLimit();
    }

    /// Only the range without effect is supported: released models run without a clamp.
    private void checkTimeStepLimit() {
        Optional<Field> limit = fields.find("mamba_dt_limit", "time_step_limit");
        if (limit.isEmpty()) {
            return;
        }
        List<Field> ends = fields.items(limit.get());
        boolean open = ends.size() == 2 && ends.get(0).value().isNumber() && ends.get(1).value().isNumber()
                && ends.get(0).value().doubleValue() == 0
                && ends.get(1).value().doubleValue() == Double.POSITIVE_INFINITY;
        if (!open) {
            throw fields.refuse(limit.get(), "[0.0, Infinity]: clamped time steps are not supported");
        }
    }

    private void requireText(String name, String expected) {
        Optional<Field> field = fields.find(name);
        if (field.isPresent() && !expected.equals(field.get().value().textValue())) {
            throw fields.refuse(field.get(), '"' + expected + '"');
        }
    }

    /// The layer kinds as letters. A list of names wins over the pattern string, and its length over
    /// `num_hidden_layers`, which newer files leave stale; a pattern string must have that length.
    private String pattern() {
        Optional<Field> list = fields.find("layers_block_type", "layer_types");
        Optional<Field> text = fields.find("hybrid_override_pattern");
        int stated = fields.integerOr(-1, 1, MAX_LAYERS, "num_hidden_layers");
        if (list.isPresent()) {
            String pattern = letters(list.get());
            if (stated >= 0 && stated != pattern.length()) {
                LOG.log(System.Logger.Level.WARNING, "{0}: \"num_hidden_layers\" is {1}, but \"{2}\" has {3} entries; "
                        + "going by the list", fields.file(), stated, list.get().name(), pattern.length());
            }
            return pattern;
        }
        if (text.isEmpty()) {
            fields.require("the layer kinds, for example \"MEM*E\"", "hybrid_override_pattern", "layers_block_type",
                    "layer_types");
        }
        String pattern = checkedPattern(text.orElseThrow());
        if (stated >= 0 && stated != pattern.length()) {
            throw new CheckpointException(fields.file() + ": \"hybrid_override_pattern\" has " + pattern.length()
                    + " letters, but \"num_hidden_layers\" is " + stated);
        }
        return pattern;
    }

    private String letters(Field list) {
        List<Field> items = fields.items(list);
        if (items.isEmpty() || items.size() > MAX_LAYERS) {
            throw new CheckpointException(fields.file() + ": \"" + list.name() + "\" has " + items.size()
                    + " entries; expected 1 to " + MAX_LAYERS);
        }
        var letters = new StringBuilder(items.size());
        for (Field item : items) {
            letters.append(letter(item));
        }
        return letters.toString();
    }

    private char letter(Field item) {
        String kind = item.value().isTextual() ? item.value().textValue() : "";
        return switch (kind) {
            case "mamba", "linear_attention" -> 'M';
            case "attention", "full_attention" -> '*';
            case "moe" -> 'E';
            case "mlp" -> '-';
            default -> throw fields.refuse(item, "one of mamba, linear_attention, attention, full_attention, moe, mlp");
        };
    }

    private String checkedPattern(Field field) {
        if (!field.value().isTextual()) {
            throw fields.refuse(field, "a string of M, E, * and -");
        }
        String pattern = field.value().textValue();
        if (pattern.isEmpty() || pattern.length() > MAX_LAYERS) {
            throw new CheckpointException(fields.file() + ": \"" + field.name() + "\" has " + pattern.length()
                    + " letters; expected 1 to " + MAX_LAYERS);
        }
        for (int i = 0; i < pattern.length(); i++) {
            if ("ME*-".indexOf(pattern.charAt(i)) < 0) {
                throw new CheckpointException(fields.file() + ": \"" + field.name() + "\" has '" + pattern.charAt(i)
                        + "' at layer " + i + "; expected M (Mamba), E (experts), * (attention) or - (dense)");
            }
        }
        return pattern;
    }

    /// Layers of the multi-token prediction block; the block is shared when there are several depths.
    private int draftLayers() {
        int depths = fields.integerOr(0, 0, 64, "num_nextn_predict_layers");
        if (depths == 0) {
            return 0;
        }
        Optional<Field> list = fields.find("mtp_layers_block_type");
        Optional<Field> text = fields.find("mtp_hybrid_override_pattern");
        return list.map(this::letters).or(() -> text.map(this::checkedPattern)).orElse("*E").length();
    }
}
