package dev.sidewinder.model.checkpoint;

import dev.sidewinder.model.config.ConfigReader;
import dev.sidewinder.model.config.ModelConfig;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/// Small checkpoints for tests: every layer kind, shapes with no two dimensions alike.
public final class TestCheckpoints {

    public static final String CONFIG = """
            {"model_type": "nemotron_h", "hidden_size": 48, "vocab_size": 80, "layer_norm_epsilon": 1e-05,
             "num_hidden_layers": 4, "hybrid_override_pattern": "ME*-", "intermediate_size": 112,
             "mamba_num_heads": 4, "mamba_head_dim": 8, "n_groups": 2, "ssm_state_size": 16, "conv_kernel": 4,
             "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 16,
             "n_routed_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 64,
             "moe_shared_expert_intermediate_size": 144, "n_shared_experts": 1, "routed_scaling_factor": 2.5,
             "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
            """;

    private TestCheckpoints() {}

    public static ModelConfig config() {
        return config(CONFIG);
    }

    public static ModelConfig config(String json) {
        return ConfigReader.read("config.json", json.getBytes(StandardCharsets.UTF_8));
    }

    /// All tensors of the shape, zero, in BF16 (the router's bias in F32).
    public static SafetensorsBytes tensors(ModelConfig config) {
        var tensors = new SafetensorsBytes();
        for (Parameter parameter : TensorInventory.of(config).parameters()) {
            DType type = parameter.kind() == Parameter.Kind.CORRECTION_BIAS ? DType.F32 : DType.BF16;
            tensors.zeros(parameter.name(), type, parameter.shape().stream().mapToLong(Long::longValue).toArray());
        }
        return tensors;
    }

    public static Path folder(Path folder, String config, SafetensorsBytes tensors) {
        SafetensorsBytes.write(folder.resolve("config.json"), config.getBytes(StandardCharsets.UTF_8));
        tensors.write(folder.resolve("model.safetensors"));
        return folder;
    }
}
