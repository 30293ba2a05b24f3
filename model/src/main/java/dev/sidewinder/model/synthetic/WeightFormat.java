package dev.sidewinder.model.synthetic;

import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.checkpoint.Parameter;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.model.config.QuantizationConfig.Format;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/// The number formats a synthetic checkpoint is written in, each in the layout and by the recipe of the publisher's
/// 30B-A3B releases.
public enum WeightFormat {

    /// everything BF16, the router's bias F32
    BF16(Format.PLAIN),
    /// FP8 with one scale per matrix: experts, shared experts, dense layers, and Mamba projections except those
    /// directly in front of attention
    FP8(Format.FP8),
    /// NVFP4 for the same matrices
    NVFP4(Format.NVFP4);

    private final Format quantised;

    WeightFormat(Format quantised) {
        this.quantised = quantised;
    }

    /// Reads `bf16`, `fp8` or `nvfp4`.
    public static WeightFormat parse(String text) {
        for (WeightFormat format : values()) {
            if (format.name().equalsIgnoreCase(text)) {
                return format;
            }
        }
        throw new CheckpointException("there is no weight format \"" + text + "\"; known are "
                + Arrays.toString(values()).toLowerCase(Locale.ROOT));
    }

    /// What stands behind the name of a shape in this format.
    String suffix() {
        return "-" + name().toLowerCase(Locale.ROOT);
    }

    /// The format behind the name of a shape that is known without it.
    static Optional<WeightFormat> behind(String name) {
        return Arrays.stream(values()).filter(format -> name.endsWith(format.suffix())
                && ShapeSpec.names().contains(name.substring(0, name.length() - format.suffix().length()))).findFirst();
    }

    /// How a linear map is stored in this format.
    Format of(Parameter parameter, ModelConfig config) {
        boolean inLayers = parameter.layer() >= 0;
        return switch (parameter.kind()) {
            case EXPERT_UP, EXPERT_DOWN, SHARED_UP, SHARED_DOWN, MLP_UP, MLP_DOWN -> inLayers ? quantised : Format.PLAIN;
            case IN_PROJECTION, OUT_PROJECTION -> beforeAttention(parameter.layer(), config) ? Format.PLAIN : quantised;
            case EMBEDDING, NORM, CONV_WEIGHT, CONV_BIAS, A_LOG, SKIP, TIME_STEP_BIAS, QUERY, KEY, VALUE,
                    ATTENTION_OUTPUT, ROUTER, CORRECTION_BIAS, LATENT_IN, LATENT_OUT, HEAD, DRAFT_PROJECTION ->
                    Format.PLAIN;
        };
    }

    private static boolean beforeAttention(int layer, ModelConfig config) {
        return layer + 1 < config.layers().size() && config.layers().get(layer + 1) instanceof LayerSpec.Attention;
    }
}
