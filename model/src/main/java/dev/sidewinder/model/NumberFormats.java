package dev.sidewinder.model;

import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.ModelWeights;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;

/// Counts the weights of the linear maps by the format they are stored in.
final class NumberFormats {

    private NumberFormats() {}

    /// The format that holds the most weights: `bf16`, `f16`, `f32`, `fp8` or `nvfp4`.
    static String most(ModelWeights weights) {
        return counts(weights).entrySet().stream().max(Comparator.comparingLong(Map.Entry::getValue)).orElseThrow()
                .getKey();
    }

    private static Map<String, Long> counts(ModelWeights weights) {
        Map<String, Long> counts = new LinkedHashMap<>();
        Consumer<LinearWeight> count = linear -> counts.merge(name(linear), (long) linear.outputs() * linear.inputs(),
                Long::sum);
        count.accept(weights.head());
        for (LayerWeights layer : weights.layers()) {
            switch (layer) {
                case LayerWeights.Mamba mamba -> {
                    count.accept(mamba.inProjection());
                    count.accept(mamba.outProjection());
                }
                case LayerWeights.Attention attention -> {
                    count.accept(attention.query());
                    count.accept(attention.key());
                    count.accept(attention.value());
                    count.accept(attention.output());
                }
                case LayerWeights.Experts experts -> {
                    experts.up().forEach(count);
                    experts.down().forEach(count);
                    experts.sharedUp().ifPresent(count);
                    experts.sharedDown().ifPresent(count);
                    experts.latentIn().ifPresent(count);
                    experts.latentOut().ifPresent(count);
                }
                case LayerWeights.Mlp mlp -> {
                    count.accept(mlp.up());
                    count.accept(mlp.down());
                }
            }
        }
        return counts;
    }

    /// The name of the format a linear map is stored in.
    static String name(LinearWeight linear) {
        return switch (linear) {
            case LinearWeight.Plain plain -> plain.tensor().type().name().toLowerCase(Locale.ROOT);
            case LinearWeight.Fp8 _ -> "fp8";
            case LinearWeight.Nvfp4 _ -> "nvfp4";
        };
    }
}
