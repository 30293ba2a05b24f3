package dev.sidewinder.model.config;

import dev.sidewinder.model.checkpoint.CheckpointException;
import java.util.ArrayList;
import java.util.List;

/// Reads the dimensions of the layer kinds that a pattern uses. Fields of kinds that do not occur are not looked at.
final class LayerReader {

    private static final int MAX_DIM = 1 << 24;

    /// Bound on the width of one projection: widths are `int`, and their products with a row stay in `long`.
    private static final long MAX_WIDTH = 1L << 26;

    private final JsonFields fields;
    private final String pattern;

    LayerReader(JsonFields fields, String pattern) {
        this.fields = fields;
        this.pattern = pattern;
    }

    List<LayerSpec> layers() {
        LayerSpec mamba = pattern.indexOf('M') >= 0 ? mamba() : null;
        LayerSpec attention = pattern.indexOf('*') >= 0 ? attention() : null;
        LayerSpec experts = pattern.indexOf('E') >= 0 ? experts() : null;
        List<Integer> widths = pattern.indexOf('-') >= 0 ? denseWidths() : List.of();
        var layers = new ArrayList<LayerSpec>(pattern.length());
        int dense = 0;
        for (int i = 0; i < pattern.length(); i++) {
            layers.add(switch (pattern.charAt(i)) {
                case 'M' -> mamba;
                case '*' -> attention;
                case 'E' -> experts;
                case '-' -> new LayerSpec.Mlp(widths.size() == 1 ? widths.getFirst() : widths.get(dense++));
                default -> throw new IllegalArgumentException("unchecked pattern " + pattern);
            });
        }
        return layers;
    }

    /// When both spellings of a Mamba field are present, the one that starts with `mamba_` counts, as in transformers.
    private LayerSpec.Mamba mamba() {
        int heads = fields.integer(1, MAX_DIM, "mamba_num_heads");
        int headDim = fields.integer(1, MAX_DIM, "mamba_head_dim");
        int groups = fields.integer(1, MAX_DIM, "mamba_n_groups", "mamba_num_groups", "n_groups");
        int stateDim = fields.integer(1, MAX_DIM, "ssm_state_size", "mamba_d_state");
        int convWidth = fields.integer(2, 64, "mamba_d_conv", "conv_kernel");
        if (heads % groups != 0) {
            throw new CheckpointException(fields.file() + ": \"n_groups\" is " + groups + ", which does not divide "
                    + "\"mamba_num_heads\" " + heads);
        }
        long inner = (long) heads * headDim;
        checkWidth("mamba_num_heads x mamba_head_dim", inner);
        checkWidth("rows of the Mamba input projection", 2 * inner + 2L * groups * stateDim + heads);
        return new LayerSpec.Mamba(heads, headDim, groups, stateDim, convWidth,
                fields.flagOr(true, "mamba_conv_bias", "use_conv_bias"));
    }

    private LayerSpec.Attention attention() {
        int queryHeads = fields.integer(1, MAX_DIM, "num_attention_heads");
        int kvHeads = fields.integer(1, MAX_DIM, "num_key_value_heads");
        int headDim = fields.integer(1, MAX_DIM, "head_dim", "attention_head_dim");
        if (queryHeads % kvHeads != 0) {
            throw new CheckpointException(fields.file() + ": \"num_key_value_heads\" is " + kvHeads
                    + ", which does not divide \"num_attention_heads\" " + queryHeads);
        }
        checkWidth("num_attention_heads x head_dim", (long) queryHeads * headDim);
        return new LayerSpec.Attention(queryHeads, kvHeads, headDim);
    }

    private LayerSpec.Experts experts() {
        int routed = fields.integer(1, 1 << 16, "n_routed_experts", "num_local_experts");
        int active = fields.integer(1, routed, "num_experts_per_tok");
        int groups = fields.integerOr(1, 1, routed, "n_group");
        int activeGroups = fields.integerOr(1, 1, groups, "topk_group");
        if (routed % groups != 0) {
            throw new CheckpointException(fields.file() + ": \"n_group\" is " + groups
                    + ", which does not divide \"n_routed_experts\" " + routed);
        }
        if (active > routed / groups * activeGroups) {
            throw new CheckpointException(fields.file() + ": \"num_experts_per_tok\" is " + active + ", but the "
                    + activeGroups + " kept groups hold " + routed / groups * activeGroups + " experts");
        }
        boolean shared = fields.integerOr(1, 0, 1, "n_shared_experts") == 1;
        return new LayerSpec.Experts(routed, active,
                fields.integer(1, MAX_DIM, "moe_intermediate_size"),
                shared ? fields.integer(1, MAX_DIM, "moe_shared_expert_intermediate_size") : 0,
                fields.integerOr(0, 1, MAX_DIM, "moe_latent_size"),
                groups, activeGroups,
                fields.flagOr(true, "norm_topk_prob"),
                (float) fields.positive("routed_scaling_factor"));
    }

    /// One width for all dense layers, or one for each.
    private List<Integer> denseWidths() {
        fields.require("an integer or a list of them", "intermediate_size");
        List<Integer> widths = fields.integers(1, MAX_DIM, "intermediate_size");
        long dense = pattern.chars().filter(letter -> letter == '-').count();
        if (widths.size() != 1 && widths.size() != dense) {
            throw new CheckpointException(fields.file() + ": \"intermediate_size\" lists " + widths.size()
                    + " widths; the pattern has " + dense + " dense layers");
        }
        return widths;
    }

    private void checkWidth(String what, long width) {
        if (width > MAX_WIDTH) {
            throw new CheckpointException(fields.file() + ": " + what + " is " + width + "; at most " + MAX_WIDTH
                    + " is supported");
        }
    }
}
