package dev.sidewinder.model;

import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.Parameter;
import dev.sidewinder.model.checkpoint.TensorInventory;
import dev.sidewinder.model.checkpoint.TensorSet;
import dev.sidewinder.model.config.CacheFootprint;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.model.synthetic.SyntheticModel;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;

/// The numbers of a model that an operator wants to see.
///
/// @param layers           layers by kind (`M`, `E`, `*`, `-`), kinds that occur only
/// @param formats          what is stored in which format, largest first
/// @param parameters       of the model itself, without the multi-token prediction block
/// @param activeParameters that one token passes through: the chosen experts only, and no embedding
/// @param draftParameters  of the multi-token prediction block
/// @param tensors          number of tensors, scales included
/// @param bytes            of all tensors
/// @param cache            what a sequence needs
public record ModelSummary(SequencedMap<Character, Integer> layers, List<Stored> formats, long parameters,
        long activeParameters, long draftParameters, int tensors, long bytes,
        CacheFootprint cache) {

    /// What is stored in one format.
    ///
    /// @param format     `bf16`, `f16`, `f32`, `fp8`, `nvfp4`, or `scales` for the scales of quantised weights
    /// @param parameters weights, 0 for scales
    public record Stored(String format, int tensors, long parameters, long bytes) {
        private Stored plus(Stored other) {
            return new Stored(format, tensors + other.tensors, parameters + other.parameters, bytes + other.bytes);
        }
    }

    /// What is counted of a tensor.
    private record Tensor(String name, DType type, long elements, long bytes) {}

    static ModelSummary of(ModelConfig config, TensorSet set) {
        return of(config, set.tensors().stream()
                .map(tensor -> new Tensor(tensor.name(), tensor.type(), tensor.elements(), tensor.bytes()))
                .toList());
    }

    /// The numbers of a synthetic model, from its layout alone: no weights are made.
    public static ModelSummary of(SyntheticModel model) {
        return of(model.config(), model.layout().stream()
                .map(tensor -> new Tensor(tensor.name(), tensor.type(), tensor.bytes() / tensor.type().bytes(),
                        tensor.bytes()))
                .toList());
    }

    private static ModelSummary of(ModelConfig config, List<Tensor> tensors) {
        TensorInventory inventory = TensorInventory.of(config);
        return new ModelSummary(layers(config), formats(tensors),
                inventory.parameters().stream().mapToLong(Parameter::elements).sum(),
                inventory.parameters().stream().mapToLong(parameter -> active(parameter, config)).sum(),
                inventory.draftParameters().stream().mapToLong(Parameter::elements).sum(),
                tensors.size(), tensors.stream().mapToLong(Tensor::bytes).sum(),
                CacheFootprint.of(config));
    }

    private static SequencedMap<Character, Integer> layers(ModelConfig config) {
        SequencedMap<Character, Integer> layers = new LinkedHashMap<>();
        for (LayerSpec layer : config.layers()) {
            layers.merge(layer.letter(), 1, Integer::sum);
        }
        return layers;
    }

    private static List<Stored> formats(List<Tensor> tensors) {
        Map<String, Stored> formats = new TreeMap<>();
        for (Tensor tensor : tensors) {
            Stored stored = stored(tensor);
            formats.merge(stored.format(), stored, Stored::plus);
        }
        return formats.values().stream().sorted((a, b) -> Long.compare(b.bytes(), a.bytes())).toList();
    }

    private static Stored stored(Tensor tensor) {
        if (tensor.name().endsWith("_scale") || tensor.name().endsWith(".weight_scale_2")) {
            return new Stored("scales", 1, 0, tensor.bytes());
        }
        return switch (tensor.type()) {
            case U8 -> new Stored("nvfp4", 1, 2 * tensor.elements(), tensor.bytes());
            case F8_E4M3 -> new Stored("fp8", 1, tensor.elements(), tensor.bytes());
            case F32, F16, BF16, I8, I32, I64, BOOL, F64 -> new Stored(tensor.type().name().toLowerCase(Locale.ROOT), 1,
                    tensor.elements(), tensor.bytes());
        };
    }

    private static long active(Parameter parameter, ModelConfig config) {
        return switch (parameter.kind()) {
            case EXPERT_UP, EXPERT_DOWN -> isChosen(parameter, config) ? parameter.elements() : 0;
            case EMBEDDING -> config.tiedEmbeddings() ? parameter.elements() : 0;
            case NORM, IN_PROJECTION, CONV_WEIGHT, CONV_BIAS, A_LOG, SKIP, TIME_STEP_BIAS, OUT_PROJECTION, QUERY, KEY,
                    VALUE, ATTENTION_OUTPUT, ROUTER, CORRECTION_BIAS, SHARED_UP, SHARED_DOWN, LATENT_IN, LATENT_OUT,
                    MLP_UP, MLP_DOWN, HEAD, DRAFT_PROJECTION -> parameter.elements();
        };
    }

    /// All experts are alike, so the first ones stand for those that a token chooses.
    private static boolean isChosen(Parameter parameter, ModelConfig config) {
        var experts = (LayerSpec.Experts) config.layers().get(parameter.layer());
        String[] parts = parameter.name().split("\\.");
        return Integer.parseInt(parts[parts.length - 3]) < experts.active();
    }
}
