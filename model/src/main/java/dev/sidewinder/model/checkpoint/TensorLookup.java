package dev.sidewinder.model.checkpoint;

import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/// The tensors of a checkpoint by canonical name. A tensor that has been handed out is used; at the end none may be
/// left.
final class TensorLookup {

    private final ModelConfig config;
    private final TensorSet set;
    private final Map<String, TensorView> unused = new LinkedHashMap<>();
    private final int draftTensors;

    TensorLookup(ModelConfig config, TensorSet set) {
        this.config = config;
        this.set = set;
        int draft = 0;
        for (TensorView tensor : set.tensors()) {
            String canonical = TensorNames.canonical(tensor.name());
            if (TensorNames.isDraft(canonical)) {
                draft++;
                continue;
            }
            TensorView other = unused.putIfAbsent(canonical, tensor);
            if (other != null) {
                throw new CheckpointException(set.origin(tensor.name()) + ": tensors \"" + other.name() + "\" and \""
                        + tensor.name() + "\" are two spellings of one name");
            }
        }
        this.draftTensors = draft;
    }

    /// Takes the tensor of this canonical name, if there is one.
    Optional<TensorView> find(String canonical) {
        return Optional.ofNullable(unused.remove(canonical));
    }

    /// Takes an unquantised parameter.
    TensorView plain(Parameter parameter) {
        TensorView tensor = require(parameter);
        requireType(tensor, parameter, DType.BF16, DType.F16, DType.F32);
        requireShape(tensor, parameter, parameter.shape());
        return tensor;
    }

    TensorView require(Parameter parameter) {
        return find(parameter.name()).orElseThrow(() -> new CheckpointException("tensor \"" + parameter.name() + "\" "
                + parameter.shape() + " is missing; " + place(parameter) + " needs it"));
    }

    void requireShape(TensorView tensor, Parameter parameter, List<Long> shape) {
        if (!tensor.shape().equals(shape)) {
            throw refuse(tensor, parameter, shape.toString());
        }
    }

    void requireType(TensorView tensor, Parameter parameter, DType... types) {
        if (!List.of(types).contains(tensor.type())) {
            throw refuse(tensor, parameter, List.of(types).stream().map(DType::name).collect(Collectors.joining(" or ")));
        }
    }

    CheckpointException refuse(TensorView tensor, Parameter parameter, String needed) {
        return new CheckpointException(describe(tensor) + "; " + place(parameter) + " needs " + needed);
    }

    /// `model.safetensors: tensor "backbone.norm_f.weight" is BF16 [2688]`
    String describe(TensorView tensor) {
        return set.origin(tensor.name()) + ": tensor \"" + tensor.name() + "\" is " + tensor.type() + " "
                + tensor.shape();
    }

    /// With tied embeddings some writers store the head as well; it must then be the embedding.
    void dropCopy(String canonical, TensorView original) {
        Optional<TensorView> copy = find(canonical);
        if (copy.isPresent() && (!copy.get().shape().equals(original.shape())
                || copy.get().type() != original.type()
                || copy.get().data().mismatch(original.data()) != -1)) {
            throw new CheckpointException(describe(copy.get()) + ", but config.json says that it is tied to \""
                    + original.name() + "\", which holds something else");
        }
    }

    void refuseUnused() {
        if (!unused.isEmpty()) {
            TensorView first = unused.values().iterator().next();
            throw new CheckpointException(describe(first) + ", a name that this model has no use for"
                    + (unused.size() == 1 ? "" : " (and " + (unused.size() - 1) + " more)")
                    + "; config.json and weights do not belong together, or the layout is not supported");
        }
    }

    int draftTensors() {
        return draftTensors;
    }

    private String place(Parameter parameter) {
        if (parameter.layer() < 0) {
            return "the model (vocabulary " + config.vocabSize() + ", width " + config.hiddenSize() + ")";
        }
        LayerSpec spec = config.layers().get(parameter.layer());
        return "layer " + parameter.layer() + " (" + switch (spec) {
            case LayerSpec.Mamba mamba -> "Mamba, " + mamba.heads() + " heads";
            case LayerSpec.Attention attention -> "attention, " + attention.queryHeads() + " query heads, "
                    + attention.kvHeads() + " key heads";
            case LayerSpec.Experts experts -> "experts, " + experts.routed() + " routed";
            case LayerSpec.Mlp mlp -> "dense, width " + mlp.intermediate();
        } + ")";
    }
}
