package dev.sidewinder.model.checkpoint;

import dev.sidewinder.model.checkpoint.Parameter.Kind;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// The parameters a model of a given shape has, in the publisher's names. The binder checks files against it and the
/// writer writes by it, so that the two cannot disagree.
public final class TensorInventory {

    private final ModelConfig config;
    private final List<Parameter> parameters = new ArrayList<>();
    private final List<Parameter> draft = new ArrayList<>();

    private TensorInventory(ModelConfig config) {
        this.config = config;
    }

    public static TensorInventory of(ModelConfig config) {
        var inventory = new TensorInventory(config);
        inventory.add(-1, "backbone.embeddings.weight", Kind.EMBEDDING, config.vocabSize(), config.hiddenSize());
        for (int layer = 0; layer < config.layers().size(); layer++) {
            inventory.addLayer(layer, config.layers().get(layer));
        }
        inventory.add(-1, "backbone.norm_f.weight", Kind.NORM, config.hiddenSize());
        if (!config.tiedEmbeddings()) {
            inventory.add(-1, "lm_head.weight", Kind.HEAD, config.vocabSize(), config.hiddenSize());
        }
        inventory.addDraft();
        return inventory;
    }

    /// Everything the forward pass uses.
    public List<Parameter> parameters() {
        return parameters;
    }

    /// The multi-token prediction block; empty when the model has none. Its only published pattern is attention, then
    /// experts.
    public List<Parameter> draftParameters() {
        return draft;
    }

    private void addLayer(int layer, LayerSpec spec) {
        String at = "backbone.layers." + layer + ".";
        add(layer, at + "norm.weight", Kind.NORM, config.hiddenSize());
        addMixer(layer, at + "mixer.", spec);
    }

    private void addMixer(int layer, String at, LayerSpec spec) {
        long hidden = config.hiddenSize();
        switch (spec) {
            case LayerSpec.Mamba mamba -> {
                add(layer, at + "in_proj.weight", Kind.IN_PROJECTION, mamba.projectionDim(), hidden);
                add(layer, at + "conv1d.weight", Kind.CONV_WEIGHT, mamba.convDim(), 1, mamba.convWidth());
                if (mamba.convBias()) {
                    add(layer, at + "conv1d.bias", Kind.CONV_BIAS, mamba.convDim());
                }
                add(layer, at + "dt_bias", Kind.TIME_STEP_BIAS, mamba.heads());
                add(layer, at + "A_log", Kind.A_LOG, mamba.heads());
                add(layer, at + "D", Kind.SKIP, mamba.heads());
                add(layer, at + "norm.weight", Kind.NORM, mamba.innerDim());
                add(layer, at + "out_proj.weight", Kind.OUT_PROJECTION, hidden, mamba.innerDim());
            }
            case LayerSpec.Attention attention -> {
                long queries = (long) attention.queryHeads() * attention.headDim();
                long keys = (long) attention.kvHeads() * attention.headDim();
                add(layer, at + "q_proj.weight", Kind.QUERY, queries, hidden);
                add(layer, at + "k_proj.weight", Kind.KEY, keys, hidden);
                add(layer, at + "v_proj.weight", Kind.VALUE, keys, hidden);
                add(layer, at + "o_proj.weight", Kind.ATTENTION_OUTPUT, hidden, queries);
            }
            case LayerSpec.Experts experts -> addExperts(layer, at, experts);
            case LayerSpec.Mlp mlp -> {
                add(layer, at + "up_proj.weight", Kind.MLP_UP, mlp.intermediate(), hidden);
                add(layer, at + "down_proj.weight", Kind.MLP_DOWN, hidden, mlp.intermediate());
            }
        }
    }

    private void addExperts(int layer, String at, LayerSpec.Experts experts) {
        long hidden = config.hiddenSize();
        long width = experts.latent() > 0 ? experts.latent() : hidden;
        add(layer, at + "gate.weight", Kind.ROUTER, experts.routed(), hidden);
        add(layer, at + "gate.e_score_correction_bias", Kind.CORRECTION_BIAS, experts.routed());
        if (experts.latent() > 0) {
            add(layer, at + "fc1_latent_proj.weight", Kind.LATENT_IN, experts.latent(), hidden);
            add(layer, at + "fc2_latent_proj.weight", Kind.LATENT_OUT, hidden, experts.latent());
        }
        for (int expert = 0; expert < experts.routed(); expert++) {
            String of = at + "experts." + expert + ".";
            add(layer, of + "up_proj.weight", Kind.EXPERT_UP, experts.intermediate(), width);
            add(layer, of + "down_proj.weight", Kind.EXPERT_DOWN, width, experts.intermediate());
        }
        if (experts.sharedIntermediate() > 0) {
            add(layer, at + "shared_experts.up_proj.weight", Kind.SHARED_UP, experts.sharedIntermediate(), hidden);
            add(layer, at + "shared_experts.down_proj.weight", Kind.SHARED_DOWN, hidden, experts.sharedIntermediate());
        }
    }

    private void addDraft() {
        if (config.draftLayers() == 0) {
            return;
        }
        int main = parameters.size();
        long hidden = config.hiddenSize();
        for (String norm : List.of("enorm", "hnorm", "norm")) {
            add(-1, "mtp.layers.0." + norm + ".weight", Kind.NORM, hidden);
        }
        add(-1, "mtp.layers.0.eh_proj.weight", Kind.DRAFT_PROJECTION, hidden, 2 * hidden);
        firstOf(LayerSpec.Attention.class).ifPresent(spec -> addMixer(-1, "mtp.layers.0.mixer.", spec));
        for (String norm : List.of("norm", "final_layernorm")) {
            add(-1, "mtp.layers.1." + norm + ".weight", Kind.NORM, hidden);
        }
        firstOf(LayerSpec.Experts.class).ifPresent(spec -> addMixer(-1, "mtp.layers.1.mixer.", spec));
        List<Parameter> added = parameters.subList(main, parameters.size());
        draft.addAll(added);
        added.clear();
    }

    private Optional<LayerSpec> firstOf(Class<? extends LayerSpec> kind) {
        return config.layers().stream().filter(kind::isInstance).findFirst();
    }

    private void add(int layer, String name, Kind kind, long... shape) {
        var dims = new ArrayList<Long>(shape.length);
        for (long dim : shape) {
            dims.add(dim);
        }
        parameters.add(new Parameter(name, kind, dims, layer));
    }
}
