package dev.sidewinder.model.synthetic;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.checkpoint.Parameter;
import dev.sidewinder.model.checkpoint.TensorInventory;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.model.config.QuantizationConfig.Format;
import java.nio.charset.StandardCharsets;
import java.util.List;

/// The JSON files of a synthetic checkpoint, in the publisher's spelling.
final class SyntheticFiles {

    private static final JsonMapper MAPPER = new JsonMapper();

    private SyntheticFiles() {}

    static byte[] config(ShapeSpec shape) {
        ObjectNode config = JsonNodeFactory.instance.objectNode();
        config.putArray("architectures").add("NemotronHForCausalLM");
        config.put("model_type", "nemotron_h");
        config.put("torch_dtype", "bfloat16");
        config.put("num_hidden_layers", shape.layers().length());
        config.put("hybrid_override_pattern", shape.layers());
        for (Dimension dimension : Dimension.values()) {
            int value = shape.dimension(dimension);
            // the reader takes 0 for a mistake in these two; a model without the part leaves the field out
            boolean leftOut = value == 0 && (dimension == Dimension.LATENT || dimension == Dimension.SHARED);
            if (!leftOut) {
                config.put(dimension.field(), value);
            }
        }
        config.put("n_shared_experts", shape.dimension(Dimension.SHARED) == 0 ? 0 : 1);
        if (shape.dimension(Dimension.DRAFTS) > 0) {
            config.put("mtp_hybrid_override_pattern", "*E");
        }
        config.put("routed_scaling_factor", shape.scale());
        config.put("layer_norm_epsilon", 1e-5).put("norm_eps", 1e-5);
        config.put("tie_word_embeddings", false).put("residual_in_fp32", false);
        config.put("expand", 2).put("mamba_hidden_act", "silu").put("mlp_hidden_act", "relu2");
        config.put("mamba_proj_bias", false).put("use_conv_bias", true).put("use_bias", false);
        config.put("attention_bias", false).put("mlp_bias", false);
        config.put("time_step_min", 0.001).put("time_step_max", 0.1);
        config.put("n_group", 1).put("topk_group", 1).put("norm_topk_prob", true);
        config.put("bos_token_id", 1).put("eos_token_id", 2).put("pad_token_id", 0);
        return bytes(config);
    }

    /// `hf_quant_config.json`, with everything that stays unquantised named one by one, as ModelOpt does.
    static byte[] quantization(ModelConfig config, WeightFormat format) {
        ObjectNode document = JsonNodeFactory.instance.objectNode();
        document.putObject("producer").put("name", "sidewinder").put("version", "synthetic");
        ObjectNode quantization = document.putObject("quantization");
        quantization.put("quant_algo", format.name());
        quantization.put("kv_cache_quant_algo", "FP8");
        if (format == WeightFormat.NVFP4) {
            quantization.put("group_size", 16);
        }
        var excluded = quantization.putArray("exclude_modules");
        for (Parameter parameter : TensorInventory.of(config).parameters()) {
            boolean convolution = parameter.kind() == Parameter.Kind.CONV_WEIGHT;
            boolean plain = parameter.kind().linear() && format.of(parameter, config) == Format.PLAIN;
            if (convolution || plain) {
                excluded.add(parameter.module());
            }
        }
        if (config.draftLayers() > 0) {
            excluded.add("mtp*");
        }
        return bytes(document);
    }

    /// `model.safetensors.index.json` for shards whose tensors are given in order.
    static byte[] index(List<String> files, List<List<String>> tensors, long totalBytes) {
        ObjectNode document = JsonNodeFactory.instance.objectNode();
        document.putObject("metadata").put("total_size", totalBytes);
        ObjectNode map = document.putObject("weight_map");
        for (int shard = 0; shard < files.size(); shard++) {
            for (String tensor : tensors.get(shard)) {
                map.put(tensor, files.get(shard));
            }
        }
        return bytes(document);
    }

    private static byte[] bytes(ObjectNode document) {
        try {
            return (MAPPER.writerWithDefaultPrettyPrinter().writeValueAsString(document) + "\n")
                    .getBytes(StandardCharsets.UTF_8);
        } catch (JsonProcessingException impossible) {
            throw new IllegalStateException("writing a tree to memory", impossible);
        }
    }
}
