package dev.sidewinder.model.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.config.QuantizationConfig.Format;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QuantizationConfigReaderTest {

    private static final String NANO = """
            {"producer": {"name": "modelopt", "version": "0.29.0"},
             "quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8", "group_size": 16,
              "exclude_modules": ["lm_head", "backbone.layers.4.mixer.in_proj", "backbone.layers.5.mixer.q_proj",
                                  "language_model.model.layers.11.mixer.out_proj", "mtp*"]}}
            """;

    private static final String LIGHTNING = """
            {"model_type": "nemotron_h", "quantization_config": {"quant_method": "modelopt",
              "quant_algo": "MIXED_PRECISION", "producer": {"name": "modelopt", "version": "0.44"},
              "kv_cache_scheme": {"dynamic": false, "num_bits": 8, "type": "float"}, "config_groups": {},
              "ignore": ["backbone.embeddings", "mtp*"],
              "quantized_layers": {
                "lm_head": {"quant_algo": "W4A16_NVFP4", "group_size": 16},
                "backbone.layers.0.mixer.in_proj": {"quant_algo": "FP8"},
                "backbone.layers.1.mixer.experts": {"quant_algo": "NVFP4", "group_size": 16}}}}
            """;

    @Test
    void readsTheFileOfModelopt() {
        QuantizationConfig config = read(NANO, "{}").getFirst();

        assertThat(config.expected("backbone.layers.1.mixer.experts.0.up_proj")).isEqualTo(Format.NVFP4);
        assertThat(config.expected("lm_head")).isEqualTo(Format.PLAIN);
        assertThat(config.expected("backbone.layers.4.mixer.in_proj")).isEqualTo(Format.PLAIN);
        assertThat(config.expected("backbone.layers.4.mixer.out_proj")).isEqualTo(Format.NVFP4);
        assertThat(config.expected("backbone.layers.11.mixer.out_proj")).isEqualTo(Format.PLAIN);
        assertThat(config.expected("mtp.layers.0.eh_proj")).isEqualTo(Format.PLAIN);
    }

    @Test
    void readsTheSectionOfTheConfig() {
        QuantizationConfig config = read(null, LIGHTNING).getFirst();

        assertThat(config.expected("lm_head")).isEqualTo(Format.NVFP4);
        assertThat(config.expected("backbone.layers.0.mixer.in_proj")).isEqualTo(Format.FP8);
        assertThat(config.expected("backbone.layers.0.mixer.out_proj")).isEqualTo(Format.PLAIN);
        // one entry may stand for all experts of a layer
        assertThat(config.expected("backbone.layers.1.mixer.experts.77.down_proj")).isEqualTo(Format.NVFP4);
        assertThat(config.expected("backbone.layers.1.mixer.shared_experts.up_proj")).isEqualTo(Format.PLAIN);
    }

    @Test
    void readsBothWhereThereAreBoth() {
        assertThat(read(NANO, LIGHTNING)).hasSize(2);
        assertThat(read(null, "{}")).isEmpty();
        assertThat(read(null, "{\"quantization_config\": null}")).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
            "{\"quant_algo\": \"W4A8_AWQ\"} | quantization.quant_algo\" is \"W4A8_AWQ\"",
            "{\"quant_algo\": \"FP8_PB_WO\"} | quantization.quant_algo\" is \"FP8_PB_WO\"",
            "{\"quant_algo\": \"INT8_SQ\"} | other algorithms are not supported",
            "{\"quant_algo\": 8} | quantization.quant_algo\" is 8",
            "{\"quant_algo\": \"MIXED_PRECISION\"} | \"quantized_layers\" lists no layer",
            "{\"quant_algo\": \"NVFP4\", \"group_size\": 32} | quantization.group_size\" is 32; expected 16",
            "{\"quant_algo\": \"NVFP4\", \"kv_cache_quant_algo\": \"NVFP4\"} | quantization.kv_cache_quant_algo\" is \"NVFP4\"",
            "{\"quant_algo\": \"FP8\", \"exclude_modules\": \"lm_head\"} | quantization.exclude_modules\" is \"lm_head\"; expected a list",
            "{\"quant_algo\": \"FP8\", \"exclude_modules\": [1]} | quantization.exclude_modules[0]\" is 1",
            "{\"quant_algo\": \"MIXED_PRECISION\", \"quantized_layers\": {\"a\": {}}} | a.quant_algo\" is missing",
            "{\"quant_algo\": \"MIXED_PRECISION\", \"quantized_layers\": {\"a\": 1}} | a\" is 1; expected a JSON object",
            "{\"quant_algo\": \"MIXED_PRECISION\", \"quantized_layers\": {\"a\": {\"quant_algo\": \"MXFP8\"}}} | \"MXFP8\""})
    void refusesWhatItDoesNotKnowByName(String quantization, String expected) {
        assertThatThrownBy(() -> read("{\"quantization\": " + quantization + "}", "{}"))
                .isInstanceOf(CheckpointException.class).hasMessageStartingWith("hf_quant_config.json: ")
                .hasMessageContaining(expected);
    }

    @Test
    void refusesOtherQuantisationMethods() {
        assertThatThrownBy(() -> read(null, "{\"quantization_config\": {\"quant_method\": \"gptq\"}}"))
                .isInstanceOf(CheckpointException.class)
                .hasMessage("config.json: \"quantization_config.quant_method\" is \"gptq\"; expected \"modelopt\"");
        assertThatThrownBy(() -> read("{}", "{}")).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("\"quantization\" is missing");
    }

    @ParameterizedTest
    @CsvSource({"mtp*, mtp.layers.0, true", "mtp*, mtp, true", "mtp*, xmtp, false", "*, anything, true", "a*c, abc, true",
            "a*c, ac, true", "a*c, abcd, false", "*.k_proj, layers.5.k_proj, true", "a*b*c, aXbYbZc, true",
            "a*b*c, aXcYb, false", "**, x, true", "a?c, abc, false"})
    void matchesWildcards(String pattern, String text, boolean expected) {
        assertThat(QuantizationConfig.matches(pattern, text)).isEqualTo(expected);
    }

    @Test
    @Timeout(5)
    void matchesHostileWildcardsInLinearSteps() {
        assertThat(QuantizationConfig.matches("*a".repeat(2000) + "b", "a".repeat(4000))).isFalse();
    }

    private static List<QuantizationConfig> read(String hfQuantConfig, String config) {
        return QuantizationConfigReader.read(Optional.ofNullable(hfQuantConfig)
                .map(text -> text.getBytes(StandardCharsets.UTF_8)), config.getBytes(StandardCharsets.UTF_8));
    }
}
