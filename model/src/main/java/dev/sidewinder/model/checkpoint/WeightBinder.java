package dev.sidewinder.model.checkpoint;

import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.model.config.QuantizationConfig;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Gives every tensor of a checkpoint its role. Nothing may be missing, nothing may be left over, and every shape must
/// be the one the config asks for.
///
/// Tensors of the multi-token prediction block (`mtp.*`) are left aside: it is not computed.
public final class WeightBinder {

    private static final System.Logger LOG = System.getLogger(WeightBinder.class.getName());

    private final ModelConfig config;
    private final TensorLookup tensors;
    private final LinearBinder linears;
    private final Map<String, Parameter> parameters = new HashMap<>();

    private WeightBinder(ModelConfig config, TensorSet set, List<QuantizationConfig> quantization) {
        this.config = config;
        this.tensors = new TensorLookup(config, set);
        this.linears = new LinearBinder(tensors, quantization);
    }

    /// Binds the tensors of `set`, which stays the owner of their memory.
    ///
    /// @param quantization what the quantisation configs say; compared with what the tensors are
    /// @throws CheckpointException naming file and tensor
    public static ModelWeights bind(ModelConfig config, TensorSet set, List<QuantizationConfig> quantization) {
        return new WeightBinder(config, set, quantization).bind();
    }

    private ModelWeights bind() {
        for (Parameter parameter : TensorInventory.of(config).parameters()) {
            parameters.put(parameter.name(), parameter);
        }
        TensorView embeddings = plain("backbone.embeddings.weight");
        var layers = new ArrayList<LayerWeights>(config.layers().size());
        for (int layer = 0; layer < config.layers().size(); layer++) {
            layers.add(layer(layer));
        }
        TensorView finalNorm = plain("backbone.norm_f.weight");
        var weights = new ModelWeights(embeddings, layers, finalNorm, head(embeddings));
        tensors.refuseUnused();
        if (tensors.draftTensors() > 0) {
            LOG.log(System.Logger.Level.INFO, "{0} tensors of the multi-token prediction block (mtp.*) are left aside",
                    tensors.draftTensors());
        }
        return weights;
    }

    private LinearWeight head(TensorView embeddings) {
        if (!config.tiedEmbeddings()) {
            return linear("lm_head");
        }
        tensors.dropCopy("lm_head.weight", embeddings);
        return new LinearWeight.Plain(embeddings, 0, config.vocabSize(), config.hiddenSize());
    }

    private LayerWeights layer(int index) {
        String at = "backbone.layers." + index + ".mixer.";
        TensorView norm = plain("backbone.layers." + index + ".norm.weight");
        return switch (config.layers().get(index)) {
            case LayerSpec.Mamba mamba -> new LayerWeights.Mamba(norm, linear(at + "in_proj"),
                    plain(at + "conv1d.weight"),
                    mamba.convBias() ? Optional.of(plain(at + "conv1d.bias")) : Optional.empty(),
                    plain(at + "A_log"), plain(at + "D"), plain(at + "dt_bias"), plain(at + "norm.weight"),
                    linear(at + "out_proj"));
            case LayerSpec.Attention _ -> attention(norm, at);
            case LayerSpec.Experts experts -> experts(norm, at, experts);
            case LayerSpec.Mlp _ -> new LayerWeights.Mlp(norm, linear(at + "up_proj"), linear(at + "down_proj"));
        };
    }

    private LayerWeights attention(TensorView norm, String at) {
        Optional<Float> keyScale = linears.scale(at + "k_proj.k_scale");
        Optional<Float> valueScale = linears.scale(at + "v_proj.v_scale");
        if (keyScale.isPresent() != valueScale.isPresent()) {
            throw new CheckpointException("tensor \"" + at + (keyScale.isPresent() ? "v_proj.v_scale" : "k_proj.k_scale")
                    + "\" is missing, but the other scale of the layer's cache is there");
        }
        return new LayerWeights.Attention(norm, linear(at + "q_proj"), linear(at + "k_proj"), linear(at + "v_proj"),
                linear(at + "o_proj"), keyScale.orElse(1f), valueScale.orElse(1f));
    }

    private LayerWeights experts(TensorView norm, String at, LayerSpec.Experts spec) {
        boolean shared = spec.sharedIntermediate() > 0;
        boolean latent = spec.latent() > 0;
        return new LayerWeights.Experts(norm, plain(at + "gate.weight"), plain(at + "gate.e_score_correction_bias"),
                each(at + "experts.", "up_proj", spec.routed()), each(at + "experts.", "down_proj", spec.routed()),
                shared ? Optional.of(linear(at + "shared_experts.up_proj")) : Optional.empty(),
                shared ? Optional.of(linear(at + "shared_experts.down_proj")) : Optional.empty(),
                latent ? Optional.of(linear(at + "fc1_latent_proj")) : Optional.empty(),
                latent ? Optional.of(linear(at + "fc2_latent_proj")) : Optional.empty());
    }

    /// One matrix per expert, or slices of the 3-D tensor `experts.up_proj [experts, outputs, inputs]` that
    /// transformers 5 writes.
    private List<LinearWeight> each(String at, String projection, int experts) {
        var matrices = new ArrayList<LinearWeight>(experts);
        Parameter first = parameter(at + "0." + projection + ".weight");
        Optional<TensorView> fused = tensors.find(at + projection);
        for (int expert = 0; expert < experts; expert++) {
            matrices.add(fused.isPresent() ? linears.slice(fused.get(), first, experts, expert)
                    : linear(at + expert + "." + projection));
        }
        return matrices;
    }

    private TensorView plain(String name) {
        return tensors.plain(parameter(name));
    }

    private LinearWeight linear(String module) {
        return linears.bind(parameter(module + ".weight"));
    }

    private Parameter parameter(String name) {
        Parameter parameter = parameters.get(name);
        if (parameter == null) {
            throw new IllegalStateException("the inventory has no " + name);
        }
        return parameter;
    }
}
