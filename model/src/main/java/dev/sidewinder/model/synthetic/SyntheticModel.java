package dev.sidewinder.model.synthetic;

import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.Parameter;
import dev.sidewinder.model.checkpoint.StoredTensor;
import dev.sidewinder.model.checkpoint.TensorInventory;
import dev.sidewinder.model.checkpoint.TensorSet;
import dev.sidewinder.model.config.ConfigReader;
import dev.sidewinder.model.config.ModelConfig;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;

/// A checkpoint of seeded random weights: which files and tensors it has. The same shape, format and seed give the same
/// bytes, in memory ([#tensors]) and on disk ([SyntheticFolder]).
///
/// @param seed any number; 0 unless stated
public record SyntheticModel(ShapeSpec shape, WeightFormat format, long seed) {

    /// What the location of a synthetic model begins with.
    public static final String PREFIX = "synthetic:";

    /// The shape that comes with a tokenizer and a chat template, as it is: with a dimension changed it has none.
    private static final String DEMO = "demo";
    private static final List<String> DEMO_FILES = List.of("tokenizer.json", "tokenizer_config.json",
            "chat_template.jinja", "generation_config.json");

    /// Reads `synthetic:<shape>`, optionally with `?format=fp8` and `&seed=7` behind it. The format may stand behind the name
    /// of a shape instead, `synthetic:nano-30b-fp8`.
    ///
    /// @throws CheckpointException naming the part that is not understood
    public static SyntheticModel parse(String location) {
        if (!location.startsWith(PREFIX)) {
            throw new IllegalArgumentException(location + " is not the location of a synthetic model");
        }
        String rest = location.substring(PREFIX.length());
        int question = rest.indexOf('?');
        String shapeText = question < 0 ? rest : rest.substring(0, question);
        Optional<WeightFormat> named = WeightFormat.behind(ShapeSpec.baseName(shapeText));
        if (named.isPresent()) {
            int nameEnd = ShapeSpec.baseName(shapeText).length();
            shapeText = shapeText.substring(0, nameEnd - named.get().suffix().length()) + shapeText.substring(nameEnd);
        }
        ShapeSpec shape = ShapeSpec.parse(shapeText);
        WeightFormat format = named.orElse(WeightFormat.BF16);
        long seed = 0;
        for (String option : question < 0 ? new String[0] : rest.substring(question + 1).split("&", -1)) {
            if (option.startsWith("format=")) {
                format = WeightFormat.parse(option.substring("format=".length()));
                if (named.isPresent() && named.get() != format) {
                    throw new CheckpointException(location + ": the name says " + named.get() + ", and the option " + format);
                }
            } else if (option.matches("seed=-?[0-9]{1,18}")) {
                seed = Long.parseLong(option.substring("seed=".length()));
            } else {
                throw new CheckpointException(location + ": \"" + option + "\" is not understood; expected "
                        + "format=bf16|fp8|nvfp4 or seed=NUMBER, joined by &");
            }
        }
        return new SyntheticModel(shape, format, seed);
    }

    public ModelConfig config() {
        return ConfigReader.read("config.json", SyntheticFiles.config(shape));
    }

    /// The content of every file that is not weights, by name.
    public SequencedMap<String, byte[]> files() {
        SequencedMap<String, byte[]> files = new LinkedHashMap<>();
        files.put("config.json", SyntheticFiles.config(shape));
        if (format != WeightFormat.BF16) {
            files.put("hf_quant_config.json", SyntheticFiles.quantization(config(), format));
        }
        if (shape.name().equals(DEMO)) {
            for (String name : DEMO_FILES) {
                files.put(name, resource(name));
            }
        }
        return files;
    }

    /// Every tensor, in the order of the file.
    public List<StoredTensor> layout() {
        ModelConfig config = config();
        TensorInventory inventory = TensorInventory.of(config);
        var layout = new ArrayList<StoredTensor>();
        for (List<Parameter> parameters : List.of(inventory.parameters(), inventory.draftParameters())) {
            for (Parameter parameter : parameters) {
                if (parameter.kind().linear()) {
                    layout.addAll(StoredTensor.linear(parameter, format.of(parameter, config), true));
                } else {
                    layout.add(StoredTensor.plain(parameter, plainType(parameter)));
                }
            }
        }
        return layout;
    }

    /// All tensors; each is made in memory when it is first read, or all by [TensorSet#makeAll]. The caller closes them.
    public TensorSet tensors() {
        return new SyntheticTensors(this);
    }

    RandomTensors numbers() {
        return new RandomTensors(seed);
    }

    /// Quantised releases keep the router in F32.
    private DType plainType(Parameter parameter) {
        boolean router = parameter.kind() == Parameter.Kind.ROUTER && format != WeightFormat.BF16;
        return router || parameter.kind() == Parameter.Kind.CORRECTION_BIAS ? DType.F32 : DType.BF16;
    }

    private static byte[] resource(String name) {
        try (InputStream in = SyntheticModel.class.getResourceAsStream("/dev/sidewinder/model/demo/" + name)) {
            if (in == null) {
                throw new IllegalStateException("the resource demo/" + name + " is not on the class path");
            }
            return in.readAllBytes();
        } catch (IOException failed) {
            throw new UncheckedIOException(failed);
        }
    }
}
