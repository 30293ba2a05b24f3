package dev.sidewinder.model.synthetic;

/// A whole number of a shape: its key in a [ShapeSpec] and its field in `config.json`.
public enum Dimension {
    HIDDEN("hidden", "hidden_size"),
    VOCAB("vocab", "vocab_size"),
    MAMBA_HEADS("mamba-heads", "mamba_num_heads"),
    MAMBA_HEAD_DIM("mamba-head-dim", "mamba_head_dim"),
    GROUPS("groups", "n_groups"),
    STATE("state", "ssm_state_size"),
    CONV("conv", "conv_kernel"),
    CHUNK("chunk", "chunk_size"),
    QUERY_HEADS("query-heads", "num_attention_heads"),
    KV_HEADS("kv-heads", "num_key_value_heads"),
    HEAD_DIM("head-dim", "head_dim"),
    DENSE("dense", "intermediate_size"),
    EXPERTS("experts", "n_routed_experts"),
    ACTIVE("active", "num_experts_per_tok"),
    INTERMEDIATE("intermediate", "moe_intermediate_size"),
    SHARED("shared", "moe_shared_expert_intermediate_size"),
    LATENT("latent", "moe_latent_size"),
    DRAFTS("drafts", "num_nextn_predict_layers"),
    POSITIONS("positions", "max_position_embeddings");

    private final String key;
    private final String field;

    Dimension(String key, String field) {
        this.key = key;
        this.field = field;
    }

    String key() {
        return key;
    }

    String field() {
        return field;
    }
}
