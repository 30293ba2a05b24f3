package dev.sidewinder.model.config;

import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.checkpoint.TensorNames;
import dev.sidewinder.model.config.JsonFields.Field;
import dev.sidewinder.model.config.QuantizationConfig.Format;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/// Reads `hf_quant_config.json` and the `quantization_config` of `config.json`, as ModelOpt writes them.
public final class QuantizationConfigReader {

    private static final int NVFP4_GROUP = 16;

    private final JsonFields fields;

    private QuantizationConfigReader(JsonFields fields) {
        this.fields = fields;
    }

    /// Reads what there is: none, one or both. Both say the same in published checkpoints, and each is checked against
    /// the tensors.
    ///
    /// @throws CheckpointException when an algorithm is not known
    public static List<QuantizationConfig> read(Optional<byte[]> hfQuantConfig, byte[] config) {
        var configs = new ArrayList<QuantizationConfig>();
        if (hfQuantConfig.isPresent()) {
            JsonFields document = JsonFile.parse("hf_quant_config.json", hfQuantConfig.get());
            configs.add(new QuantizationConfigReader(document.object(document.require("an object", "quantization")))
                    .read("exclude_modules"));
        }
        JsonFields document = JsonFile.parse("config.json", config);
        Optional<Field> section = document.find("quantization_config");
        if (section.isPresent()) {
            JsonFields object = document.object(section.get());
            Field method = object.require("\"modelopt\"", "quant_method");
            if (!"modelopt".equals(method.value().textValue())) {
                throw object.refuse(method, "\"modelopt\"");
            }
            configs.add(new QuantizationConfigReader(object).read("ignore", "exclude_modules"));
        }
        return configs;
    }

    private QuantizationConfig read(String... excludedSpellings) {
        checkGroup(fields);
        checkCacheAlgorithm();
        Optional<Field> algorithm = fields.find("quant_algo");
        Map<String, Format> layers = layers();
        boolean mixed = algorithm.isPresent() && "MIXED_PRECISION".equals(algorithm.get().value().textValue());
        if (mixed && layers.isEmpty()) {
            throw new CheckpointException(fields.file() + ": \"quant_algo\" is MIXED_PRECISION, but "
                    + "\"quantized_layers\" lists no layer");
        }
        Format format = mixed || algorithm.isEmpty() ? Format.PLAIN : format(fields, algorithm.get());
        return new QuantizationConfig(fields.file(), format, layers, names(excludedSpellings));
    }

    private Map<String, Format> layers() {
        Optional<Field> section = fields.find("quantized_layers");
        var layers = new HashMap<String, Format>();
        if (section.isPresent()) {
            JsonFields modules = fields.object(section.get());
            modules.node().fieldNames().forEachRemaining(module -> {
                JsonFields layer = modules.object(modules.require("an object", module));
                checkGroup(layer);
                layers.put(TensorNames.canonical(module), format(layer, layer.require("an algorithm", "quant_algo")));
            });
        }
        return layers;
    }

    private List<String> names(String... spellings) {
        Optional<Field> list = fields.find(spellings);
        var names = new ArrayList<String>();
        if (list.isPresent()) {
            for (Field item : fields.items(list.get())) {
                if (!item.value().isTextual()) {
                    throw fields.refuse(item, "a module name");
                }
                names.add(item.value().textValue());
            }
        }
        return names;
    }

    private static Format format(JsonFields fields, Field algorithm) {
        String name = algorithm.value().isTextual() ? algorithm.value().textValue().toUpperCase(Locale.ROOT) : "";
        return switch (name) {
            case "FP8" -> Format.FP8;
            case "NVFP4", "W4A16_NVFP4" -> Format.NVFP4;
            case "NONE" -> Format.PLAIN;
            default -> throw fields.refuse(algorithm, "FP8, NVFP4, W4A16_NVFP4 or, for the whole model, "
                    + "MIXED_PRECISION: other algorithms are not supported");
        };
    }

    private static void checkGroup(JsonFields fields) {
        Optional<Field> group = fields.find("group_size");
        if (group.isPresent() && group.get().value().asInt(-1) != NVFP4_GROUP
                && group.get().value().asInt(-1) != 0) {
            throw fields.refuse(group.get(), "" + NVFP4_GROUP);
        }
    }

    /// The recipe for cached keys and values does not change how weights are read, but an unknown one may come with
    /// scales that we would not understand.
    private void checkCacheAlgorithm() {
        Optional<Field> algorithm = fields.find("kv_cache_quant_algo");
        if (algorithm.isPresent()) {
            String name = algorithm.get().value().asText().toUpperCase(Locale.ROOT);
            if (!name.equals("FP8") && !name.equals("NONE")) {
                throw fields.refuse(algorithm.get(), "FP8 or null");
            }
        }
    }
}
