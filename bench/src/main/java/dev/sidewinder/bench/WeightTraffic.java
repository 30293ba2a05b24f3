package dev.sidewinder.bench;

import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import java.util.List;
import java.util.Optional;

/// Bytes of weights that a decode step reads: every matrix once, of the experts those that some sequence chose. Vectors,
/// states and keys are left out; they are a few per cent at the lengths measured here.
final class WeightTraffic {

    private WeightTraffic() {}

    /// @param sequences sequences in the step; their experts are taken as chosen evenly and independently
    static double bytesPerStep(ModelConfig config, ModelWeights weights, int sequences) {
        double bytes = bytes(weights.head());
        for (int i = 0; i < config.layers().size(); i++) {
            bytes += switch (weights.layers().get(i)) {
                case LayerWeights.Mamba mamba -> bytes(mamba.inProjection()) + bytes(mamba.outProjection());
                case LayerWeights.Attention attention -> bytes(attention.query()) + bytes(attention.key())
                        + bytes(attention.value()) + bytes(attention.output());
                case LayerWeights.Mlp mlp -> bytes(mlp.up()) + bytes(mlp.down());
                case LayerWeights.Experts experts ->
                    bytes(experts, (LayerSpec.Experts) config.layers().get(i), sequences);
            };
        }
        return bytes;
    }

    private static double bytes(LayerWeights.Experts weights, LayerSpec.Experts spec, int sequences) {
        double idle = Math.pow(1 - (double) spec.active() / spec.routed(), sequences);
        return (1 - idle) * (bytes(weights.up()) + bytes(weights.down())) + bytes(weights.sharedUp())
                + bytes(weights.sharedDown()) + bytes(weights.latentIn()) + bytes(weights.latentOut())
                + weights.gate().bytes();
    }

    private static double bytes(List<LinearWeight> all) {
        double sum = 0;
        for (LinearWeight weight : all) {
            sum += bytes(weight);
        }
        return sum;
    }

    private static double bytes(Optional<LinearWeight> weight) {
        return weight.map(WeightTraffic::bytes).orElse(0.0);
    }

    private static double bytes(LinearWeight weight) {
        double values = (double) weight.outputs() * weight.inputs();
        return switch (weight) {
            case LinearWeight.Plain plain -> values * plain.tensor().type().bytes();
            case LinearWeight.Fp8 _ -> values;
            case LinearWeight.Nvfp4 _ -> values / 2 + values / 16;  // codes, and one scale for 16 of them
        };
    }
}
