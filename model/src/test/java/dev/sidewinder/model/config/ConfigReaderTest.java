package dev.sidewinder.model.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.checkpoint.TestCheckpoints;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// `config.json` in both spellings, and everything that may be wrong with it.
class ConfigReaderTest {

    /// The published file of Nano 30B-A3B, all fields.
    private static final String NANO = """
            {"architectures": ["NemotronHForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
             "bos_token_id": 1, "chunk_size": 128, "conv_kernel": 4, "eos_token_id": 2, "expand": 2, "head_dim": 128,
             "hidden_dropout": 0.0, "hidden_size": 2688,
             "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
             "initializer_range": 0.02, "intermediate_size": 1856, "layer_norm_epsilon": 1e-05, "mamba_head_dim": 64,
             "mamba_hidden_act": "silu", "mamba_num_heads": 64, "mamba_proj_bias": false,
             "mamba_ssm_cache_dtype": "float32", "max_position_embeddings": 262144, "mlp_bias": false,
             "mlp_hidden_act": "relu2", "model_type": "nemotron_h", "moe_intermediate_size": 1856,
             "moe_shared_expert_intermediate_size": 3712, "n_group": 1, "n_groups": 8, "n_routed_experts": 128,
             "n_shared_experts": 1, "norm_eps": 1e-05, "norm_topk_prob": true, "num_attention_heads": 32,
             "num_experts_per_tok": 6, "num_hidden_layers": 52, "num_key_value_heads": 2, "num_logits_to_keep": 1,
             "pad_token_id": 0, "partial_rotary_factor": 1.0, "rescale_prenorm_residual": true,
             "residual_in_fp32": false, "rope_theta": 10000, "routed_scaling_factor": 2.5, "sliding_window": null,
             "ssm_state_size": 128, "tie_word_embeddings": false, "time_step_floor": 0.0001, "time_step_max": 0.1,
             "time_step_min": 0.001, "topk_group": 1, "torch_dtype": "bfloat16", "transformers_version": "4.55.4",
             "use_bias": false, "use_cache": true, "use_conv_bias": true, "use_mamba_kernels": true,
             "vocab_size": 131072}
            """;

    /// The same model as transformers 5 writes it.
    private static final String NANO_RESAVED = NANO
            .replace("\"hybrid_override_pattern\": \"MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME\"",
                    "\"layers_block_type\": [" + names("MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME") + "]")
            .replace("\"n_groups\"", "\"mamba_n_groups\"").replace("\"conv_kernel\"", "\"mamba_d_conv\"")
            .replace("\"expand\"", "\"mamba_expand\"").replace("\"use_conv_bias\"", "\"mamba_conv_bias\"")
            .replace("\"chunk_size\"", "\"mamba_chunk_size\"").replace("\"time_step_min\"", "\"mamba_dt_min\"")
            .replace("\"time_step_max\"", "\"mamba_dt_max\"").replace("\"head_dim\"", "\"attention_head_dim\"")
            .replace("\"layer_norm_epsilon\": 1e-05, ", "").replace("\"norm_eps\"", "\"rms_norm_eps\"")
            .replace("\"n_routed_experts\"", "\"num_local_experts\"").replace("\"torch_dtype\"", "\"dtype\"")
            .replace("\"sliding_window\": null,", "\"sliding_window\": null, \"mamba_dt_limit\": [0.0, Infinity],");

    private static final ObjectMapper MAPPER = new ObjectMapper();

    @Test
    void readsThePublishedConfig() {
        ModelConfig config = read(NANO);

        assertThat(config.hiddenSize()).isEqualTo(2688);
        assertThat(config.vocabSize()).isEqualTo(131_072);
        assertThat(config.normEpsilon()).isEqualTo(1e-5f);
        assertThat(config.pattern()).isEqualTo("MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME");
        assertThat(config.layers().get(0)).isEqualTo(new LayerSpec.Mamba(64, 64, 8, 128, 4));
        assertThat(config.layers().get(1))
                .isEqualTo(new LayerSpec.Experts(128, 6, 1856, 3712, 0, 1, 1, true, 2.5f));
        assertThat(config.layers().get(5)).isEqualTo(new LayerSpec.Attention(32, 2, 128));
        assertThat(config.maxPositionEmbeddings()).isEqualTo(262_144);
        assertThat(config.eosTokenIds()).containsExactly(2);
        assertThat(config.draftLayers()).isZero();
        assertThat(((LayerSpec.Mamba) config.layers().get(0)).projectionDim()).isEqualTo(10_304);
        assertThat(((LayerSpec.Mamba) config.layers().get(0)).convDim()).isEqualTo(6_144);
    }

    @Test
    void readsBothSpellingsAlike() {
        assertThat(read(NANO_RESAVED)).isEqualTo(read(NANO));
    }

    @Test
    void prefersTheListToThePatternAndTheLegacySpellingOfMamba() {
        assertThat(read(with(NANO, "\"layer_types\": [\"linear_attention\", \"full_attention\", \"moe\", \"mlp\"]"))
                .pattern()).isEqualTo("M*E-");
        var mamba = (LayerSpec.Mamba) read(with(NANO, "\"mamba_n_groups\": 4, \"mamba_d_conv\": 3, "
                + "\"mamba_conv_bias\": false")).layers().get(0);
        assertThat(mamba).isEqualTo(new LayerSpec.Mamba(64, 64, 4, 128, 3, false));
    }

    @Test
    void goesByTheListWhenTheNumberOfLayersIsStaleAndSaysSo() {
        var warnings = new ArrayList<String>();
        Logger logger = Logger.getLogger(ConfigReader.class.getName());
        Handler handler = collector(warnings);
        logger.addHandler(handler);
        try {
            assertThat(read(with(NANO, "\"layers_block_type\": [\"mamba\", \"moe\"]")).layers()).hasSize(2);
        } finally {
            logger.removeHandler(handler);
        }
        assertThat(warnings).singleElement().asString().contains("num_hidden_layers").contains("52").contains("2 entries");
    }

    @Test
    void readsTheLayersOfTheDraftBlock() {
        assertThat(read(with(NANO, "\"num_nextn_predict_layers\": 1")).draftLayers()).isEqualTo(2);
        assertThat(read(with(NANO, "\"num_nextn_predict_layers\": 1, \"mtp_hybrid_override_pattern\": \"*E\"")).draftLayers())
                .isEqualTo(2);
        assertThat(read(with(NANO, "\"num_nextn_predict_layers\": 2, \"mtp_layers_block_type\": [\"full_attention\", "
                + "\"moe\", \"mamba\"]")).draftLayers()).isEqualTo(3);
        assertThat(read(with(NANO, "\"mtp_hybrid_override_pattern\": \"*E\"")).draftLayers()).isZero();
    }

    @Test
    void readsOneWidthOfDenseLayersOrOneForEach() {
        String dense = NANO.replace("MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME", "M-*-").replace(
                "\"num_hidden_layers\": 52, ", "");
        assertThat(read(dense).layers().get(3)).isEqualTo(new LayerSpec.Mlp(1856));
        assertThat(read(set(dense, "intermediate_size", "[7]")).layers().get(3)).isEqualTo(new LayerSpec.Mlp(7));
        assertThat(read(set(dense, "intermediate_size", "[7, 9]")).layers().get(1)).isEqualTo(new LayerSpec.Mlp(7));
        assertThat(read(set(dense, "intermediate_size", "[7, 9]")).layers().get(3)).isEqualTo(new LayerSpec.Mlp(9));
        refuses(set(dense, "intermediate_size", "[7, 8, 9]"), "lists 3 widths; the pattern has 2 dense layers");
        refuses(set(dense, "intermediate_size", "[]"), "lists 0 widths");
        refuses(set(dense, "intermediate_size", "[7, -9]"), "\"intermediate_size[1]\" is -9");
    }

    @Test
    void readsLatentExpertsAndExpertsWithoutASharedOne() {
        var latent = (LayerSpec.Experts) read(with(NANO, "\"moe_latent_size\": 1024")).layers().get(1);
        assertThat(latent.latent()).isEqualTo(1024);
        assertThat(((LayerSpec.Experts) read(with(NANO, "\"moe_latent_size\": null")).layers().get(1)).latent()).isZero();
        var alone = (LayerSpec.Experts) read(set(set(NANO, "n_shared_experts", "0"),
                "moe_shared_expert_intermediate_size", "null")).layers().get(1);
        assertThat(alone.sharedIntermediate()).isZero();
    }

    @Test
    void readsStopTokensAsNumberOrList() {
        assertThat(read(set(NANO, "eos_token_id", "[2, 11]")).eosTokenIds()).containsExactly(2, 11);
        assertThat(read(set(NANO, "eos_token_id", "null")).eosTokenIds()).isEmpty();
        refuses(set(NANO, "eos_token_id", "[2, 131072]"), "\"eos_token_id[1]\" is 131072");
    }

    @ParameterizedTest
    @ValueSource(strings = {"[0.0, Infinity]", "[0, Infinity]", "null"})
    void acceptsAnOpenTimeStepLimit(String limit) {
        read(with(NANO, "\"time_step_limit\": " + limit));
    }

    @ParameterizedTest
    @ValueSource(strings = {"[0.001, 0.1]", "[0.0, 1e30]", "[0.0]", "[0, Infinity, 1]", "[NaN, Infinity]",
            "[-Infinity, Infinity]", "\"open\"", "[\"0\", \"Infinity\"]"})
    void refusesAClampOnTheTimeStep(String limit) {
        refuses(with(NANO, "\"time_step_limit\": " + limit), "time_step_limit");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
            "model_type | \"nemotron_h_puzzle\" | \"nemotron_h_puzzle\" (a shape of its own",
            "model_type | \"llama\" | \"model_type\" is \"llama\"; expected \"nemotron_h\"",
            "model_type | 7 | \"model_type\" is 7; expected a string",
            "vocab_size | 0 | \"vocab_size\" is 0; expected an integer in [1, 16777216]",
            "vocab_size | 1000000000 | \"vocab_size\" is 1000000000; expected",
            "num_hidden_layers | 1000000000 | \"num_hidden_layers\" is 1000000000; expected an integer in [1, 4096]",
            "num_hidden_layers | 51 | has 52 letters, but \"num_hidden_layers\" is 51",
            "num_hidden_layers | 52.0 | is 52.0; expected an integer",
            "hybrid_override_pattern | \"MEM#E\" | '#' at layer 3",
            "hybrid_override_pattern | \"mem\" | 'm' at layer 0",
            "hybrid_override_pattern | \"\" | has 0 letters",
            "hybrid_override_pattern | [\"M\"] | expected a string of M, E, * and -",
            "layers_block_type | \"MEM\" | expected a list",
            "layers_block_type | [\"mamba\", \"rwkv\"] | \"layers_block_type[1]\" is \"rwkv\"; expected one of mamba",
            "layers_block_type | [] | has 0 entries",
            "layers_block_type | [7] | \"layers_block_type[0]\" is 7",
            "mamba_num_heads | -64 | \"mamba_num_heads\" is -64; expected an integer in [1,",
            "mamba_num_heads | 63 | \"n_groups\" is 8, which does not divide \"mamba_num_heads\" 63",
            "mamba_num_heads | 16777216 | mamba_num_heads x mamba_head_dim is 1073741824; at most",
            "conv_kernel | 1 | \"conv_kernel\" is 1; expected an integer in [2, 64]",
            "num_key_value_heads | 3 | does not divide \"num_attention_heads\" 32",
            "num_key_value_heads | 0 | \"num_key_value_heads\" is 0",
            "num_attention_heads | 2147483648 | is 2147483648; expected",
            "head_dim | \"128\" | \"head_dim\" is \"128\"; expected an integer",
            "head_dim | 1e400 | \"head_dim\" is",
            "num_experts_per_tok | 129 | \"num_experts_per_tok\" is 129; expected an integer in [1, 128]",
            "n_routed_experts | 1000000000 | expected an integer in [1, 65536]",
            "n_group | 3 | \"n_group\" is 3, which does not divide",
            "topk_group | 2 | \"topk_group\" is 2; expected an integer in [1, 1]",
            "n_shared_experts | 2 | \"n_shared_experts\" is 2; expected an integer in [0, 1]",
            "routed_scaling_factor | NaN | \"routed_scaling_factor\" is",
            "routed_scaling_factor | 0 | expected a positive number",
            "layer_norm_epsilon | Infinity | expected a positive number",
            "layer_norm_epsilon | -1e-5 | expected a positive number",
            "layer_norm_epsilon | \"1e-5\" | expected a positive number",
            "norm_topk_prob | 1 | \"norm_topk_prob\" is 1; expected true or false",
            "attention_bias | true | \"attention_bias\" is true; only layers without this bias",
            "mlp_bias | true | \"mlp_bias\" is true",
            "use_bias | true | \"use_bias\" is true",
            "mamba_proj_bias | true | \"mamba_proj_bias\" is true",
            "mamba_hidden_act | \"gelu\" | \"mamba_hidden_act\" is \"gelu\"; expected \"silu\"",
            "mlp_hidden_act | \"silu\" | expected \"relu2\"",
            "sliding_window | 4096 | \"sliding_window\" is 4096; expected null",
            "bos_token_id | 131072 | \"bos_token_id\" is 131072",
            "pad_token_id | -2 | \"pad_token_id\" is -2",
            "eos_token_id | \"</s>\" | \"eos_token_id\" is",
            "tie_word_embeddings | \"no\" | expected true or false",
            "max_position_embeddings | 0 | \"max_position_embeddings\" is 0",
            "hidden_size | {} | \"hidden_size\" is {}; expected an integer",
            "hidden_size | true | \"hidden_size\" is true"})
    void refusesValuesThatCannotBe(String field, String value, String expected) {
        refuses(field.equals("layers_block_type") ? with(NANO, "\"layers_block_type\": " + value)
                : set(NANO, field, value), expected);
    }

    @ParameterizedTest
    @ValueSource(strings = {"model_type", "hidden_size", "vocab_size", "mamba_num_heads", "mamba_head_dim", "n_groups",
            "ssm_state_size", "conv_kernel", "num_attention_heads", "num_key_value_heads", "head_dim", "n_routed_experts",
            "num_experts_per_tok", "moe_intermediate_size", "moe_shared_expert_intermediate_size",
            "routed_scaling_factor", "hybrid_override_pattern"})
    void namesAFieldThatIsMissingOrNull(String field) {
        assertThatThrownBy(() -> read(set(NANO, field, null))).isInstanceOf(CheckpointException.class)
                .hasMessageMatching("config.json: .*\\b" + field + "\\b.* is missing; expected .*");
        assertThatThrownBy(() -> read(set(NANO, field, "null"))).isInstanceOf(CheckpointException.class)
                .hasMessageMatching("config.json: .*\\b" + field + "\\b.* is null; expected .*");
    }

    @Test
    void needsOnlyTheFieldsOfKindsThatOccur() {
        ModelConfig config = read("{\"model_type\": \"nemotron_h\", \"hidden_size\": 8, \"vocab_size\": 9, "
                + "\"norm_eps\": 1e-5, \"hybrid_override_pattern\": \"*\", \"num_attention_heads\": 2, "
                + "\"num_key_value_heads\": 1, \"head_dim\": 4}");
        assertThat(config.layers()).containsExactly(new LayerSpec.Attention(2, 1, 4));
        assertThat(config.bosTokenId()).isEqualTo(-1);
        assertThat(config.eosTokenIds()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "[]", "7", "null", "{", "{}x", "{\"a\": 1,}", "{'a': 1}", "{\"model_type\": }",
            "{\"a\": INF}", "\u0000"})
    void refusesWhatIsNoJsonObject(String text) {
        refuses(text, "config.json: ");
    }

    @Test
    void refusesDuplicateKeysDeepNestingAndHugeNumbers() {
        refuses(with(NANO, "\"hidden_size\": 2688"), "Duplicate field 'hidden_size'");
        refuses("{\"a\": " + "[".repeat(100_000) + "]".repeat(100_000) + "}", "nesting depth");
        refuses(set(NANO, "hidden_size", "9".repeat(1000)), "length");
    }

    @Test
    void refusesTextThatIsNotUtf8() {
        byte[] latin1 = NANO.replace("silu", "sil\u00fc").getBytes(StandardCharsets.ISO_8859_1);

        assertThatThrownBy(() -> ConfigReader.read("config.json", latin1)).isInstanceOf(CheckpointException.class)
                .hasMessage("config.json: is not UTF-8 text");
        assertThatThrownBy(() -> ConfigReader.read("config.json", NANO.getBytes(StandardCharsets.UTF_16)))
                .isInstanceOf(CheckpointException.class);
    }

    /// Every field is replaced by every kind of nonsense: a config comes out, or a checkpoint error that names the file.
    @Test
    void survivesNonsenseInEveryField() throws Exception {
        ObjectNode nano = (ObjectNode) MAPPER.readTree(NANO);
        List<String> nonsense = List.of("null", "-1", "0", "1", "2147483647", "2147483648", "9223372036854775808", "1e308",
                "1.5", "\"\"", "\"x\"", "[]", "[[]]", "{}", "true", "[1,2,3]", "{\"a\": {\"b\": []}}");
        var names = new ArrayList<String>();
        nano.fieldNames().forEachRemaining(names::add);
        int refused = 0;
        for (String name : names) {
            for (String value : nonsense) {
                refused += survives(set(NANO, name, value).getBytes(StandardCharsets.UTF_8)) ? 0 : 1;
            }
        }
        assertThat(refused).isGreaterThan(300);
    }

    @Test
    void survivesRandomDamage() {
        long seed = 20260104;
        var random = new Random(seed);
        byte[] original = TestCheckpoints.CONFIG.getBytes(StandardCharsets.UTF_8);
        int refused = 0;
        for (int round = 0; round < 10_000; round++) {
            byte[] damaged = original.clone();
            for (int i = 0, count = 1 + random.nextInt(4); i < count; i++) {
                damaged[random.nextInt(damaged.length)] = (byte) random.nextInt(256);
            }
            refused += survives(random.nextInt(4) == 0 ? Arrays.copyOf(damaged, random.nextInt(damaged.length)) : damaged)
                    ? 0 : 1;
        }
        assertThat(refused).as("seed %d", seed).isBetween(5_000, 9_999);
    }

    private static boolean survives(byte[] content) {
        try {
            ConfigReader.read("config.json", content);
            return true;
        } catch (CheckpointException expected) {
            assertThat(expected.getMessage()).startsWith("config.json: ").hasSizeLessThan(700);
            return false;
        }
    }

    private static ModelConfig read(String json) {
        return ConfigReader.read("config.json", json.getBytes(StandardCharsets.UTF_8));
    }

    private static void refuses(String json, String expected) {
        assertThatThrownBy(() -> read(json)).isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith("config.json: ").hasMessageContaining(expected);
    }

    /// Adds fields in front.
    private static String with(String json, String fields) {
        return "{" + fields + ", " + json.strip().substring(1);
    }

    /// Replaces the value of a field by any text, or takes the field out.
    private static String set(String json, String field, String value) {
        try {
            ObjectNode object = (ObjectNode) MAPPER.readTree(json);
            if (value == null) {
                object.remove(field);
                return object.toString();
            }
            JsonNode before = object.get(field);
            assertThat(before).as(field).isNotNull();
            object.put(field, "@@@");
            return object.toString().replace("\"@@@\"", value);
        } catch (JsonProcessingException wrong) {
            throw new IllegalArgumentException(json, wrong);
        }
    }

    private static String names(String pattern) {
        var names = new ArrayList<String>();
        for (char letter : pattern.toCharArray()) {
            names.add(letter == 'M' ? "\"mamba\"" : letter == '*' ? "\"attention\"" : "\"moe\"");
        }
        return String.join(", ", names);
    }

    private static Handler collector(List<String> messages) {
        return new Handler() {
            @Override
            public void publish(LogRecord message) {
                messages.add(new SimpleFormatter().formatMessage(message));
            }

            @Override
            public void flush() {
                // nothing is buffered
            }

            @Override
            public void close() {
                // nothing is open
            }
        };
    }
}
