package dev.sidewinder.model.checkpoint;

import java.util.List;

/// One parameter of a model, before any number format is chosen.
///
/// @param name  in the publisher's spelling, `backbone.layers.0.mixer.in_proj.weight`
/// @param shape as stored unquantised; a linear map is `[outputs, inputs]`
/// @param layer index of the layer it belongs to, -1 outside the layers
public record Parameter(String name, Kind kind, List<Long> shape, int layer) {

    /// What a parameter is, as far as its storage and its random values depend on it.
    public enum Kind {
        EMBEDDING, NORM, IN_PROJECTION, CONV_WEIGHT, CONV_BIAS, A_LOG, SKIP, TIME_STEP_BIAS, OUT_PROJECTION, QUERY, KEY,
        VALUE, ATTENTION_OUTPUT, ROUTER, CORRECTION_BIAS, EXPERT_UP, EXPERT_DOWN, SHARED_UP, SHARED_DOWN, LATENT_IN,
        LATENT_OUT, MLP_UP, MLP_DOWN, HEAD, DRAFT_PROJECTION;

        /// Whether it is the weight of a linear map that may be quantised. Router and embedding never are.
        public boolean linear() {
            return switch (this) {
                case IN_PROJECTION, OUT_PROJECTION, QUERY, KEY, VALUE, ATTENTION_OUTPUT, EXPERT_UP, EXPERT_DOWN,
                        SHARED_UP, SHARED_DOWN, LATENT_IN, LATENT_OUT, MLP_UP, MLP_DOWN, HEAD, DRAFT_PROJECTION -> true;
                case EMBEDDING, NORM, CONV_WEIGHT, CONV_BIAS, A_LOG, SKIP, TIME_STEP_BIAS, ROUTER, CORRECTION_BIAS ->
                        false;
            };
        }
    }

    public Parameter {
        shape = List.copyOf(shape);
    }

    public long elements() {
        return shape.stream().reduce(1L, Math::multiplyExact);
    }

    /// The name without `.weight`, as quantisation configs spell modules.
    public String module() {
        return name.endsWith(".weight") ? name.substring(0, name.length() - ".weight".length()) : name;
    }
}
