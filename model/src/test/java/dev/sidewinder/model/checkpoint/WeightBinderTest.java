package dev.sidewinder.model.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.model.config.QuantizationConfig;
import dev.sidewinder.model.config.QuantizationConfigReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Names to roles: the spellings that are accepted, and everything that is not.
class WeightBinderTest {

    private static final String Q = "backbone.layers.2.mixer.q_proj";

    @TempDir
    Path folder;

    private final ModelConfig config = TestCheckpoints.config();

    @ParameterizedTest
    @ValueSource(strings = {"backbone.", "model.", "language_model.backbone.", "language_model.model."})
    void acceptsEveryRootPrefix(String root) {
        bind(renamed(name -> name.startsWith("backbone.") ? root + name.substring("backbone.".length())
                : root.startsWith("language_model.") ? "language_model." + name : name));
    }

    @ParameterizedTest
    @ValueSource(strings = {"embeddings", "embedding", "embed_tokens"})
    void acceptsEverySpellingOfTheEmbedding(String spelling) {
        bind(renamed(name -> name.replace("backbone.embeddings.", "model." + spelling + ".")));
    }

    @Test
    void cutsFusedExpertsIntoMatrices() {
        // given the 3-D tensors that transformers 5 writes, each value being its index
        SafetensorsBytes tensors = TestCheckpoints.tensors(config);
        for (int expert = 0; expert < 3; expert++) {
            tensors.remove("backbone.layers.1.mixer.experts." + expert + ".up_proj.weight");
            tensors.remove("backbone.layers.1.mixer.experts." + expert + ".down_proj.weight");
        }
        float[] ramp = new float[3 * 64 * 48];
        for (int i = 0; i < ramp.length; i++) {
            ramp[i] = i;
        }
        tensors.floats("backbone.layers.1.mixer.experts.up_proj", ramp, 3, 64, 48);
        tensors.floats("backbone.layers.1.mixer.experts.down_proj", ramp, 3, 48, 64);

        // when they are bound
        try (SafetensorsFile file = SafetensorsFile.open(tensors.write(folder.resolve("m")))) {
            var experts = (LayerWeights.Experts) bind(file, List.of()).layers().get(1);

            // then expert 2 begins after two whole matrices
            float[] row = new float[48];
            new WeightReader().readRow(experts.up().get(2), 5, row, 0);
            assertThat(row[7]).isEqualTo((2 * 64 + 5) * 48 + 7);
            float[] down = new float[64];
            new WeightReader().readRow(experts.down().get(1), 3, down, 0);
            assertThat(down[9]).isEqualTo((48 + 3) * 64 + 9);
        }
    }

    @Test
    void namesATensorThatIsMissing() {
        for (Parameter parameter : TensorInventory.of(config).parameters()) {
            refuses(TestCheckpoints.tensors(config).remove(parameter.name()),
                    "tensor \"" + parameter.name() + "\" " + parameter.shape() + " is missing");
        }
    }

    @Test
    void namesATensorOfTheWrongShape() {
        refuses(TestCheckpoints.tensors(config).zeros("backbone.layers.0.mixer.D", DType.F32, 5),
                "m.safetensors: tensor \"backbone.layers.0.mixer.D\" is F32 [5]; layer 0 (Mamba, 4 heads) needs [4]");
        refuses(TestCheckpoints.tensors(config).zeros(Q + ".weight", DType.BF16, 48, 96),
                "is BF16 [48, 96]; layer 2 (attention, 6 query heads, 2 key heads) needs [96, 48]");
        refuses(TestCheckpoints.tensors(config).zeros("lm_head.weight", DType.BF16, 81, 48),
                "the model (vocabulary 80, width 48) needs [80, 48]");
        for (Parameter parameter : TensorInventory.of(config).parameters()) {
            long[] shape = parameter.shape().stream().mapToLong(Long::longValue).toArray();
            shape[shape.length - 1]++;
            refuses(TestCheckpoints.tensors(config).zeros(parameter.name(), DType.BF16, shape), parameter.name());
        }
    }

    @Test
    void namesATensorOfTheWrongType() {
        refuses(TestCheckpoints.tensors(config).zeros("backbone.norm_f.weight", DType.I32, 48),
                "is I32 [48]; the model (vocabulary 80, width 48) needs BF16 or F16 or F32");
        refuses(TestCheckpoints.tensors(config).zeros(Q + ".weight", DType.I8, 96, 48), Q);
    }

    @ParameterizedTest
    @ValueSource(strings = {"backbone.layers.4.norm.weight", "backbone.layers.0.mixer.bias", "vision.patch.weight",
            "backbone.layers.1.mixer.experts.3.up_proj.weight", "backbone.layers.1.mixer.experts.00.up_proj.weight",
            "backbone.layers.2.mixer.q_proj.input_scale", "mtp", "backbone.mtp.norm.weight", "lm_head.bias",
            "backbone.layers.2.mixer.q_proj.weight_scale_3"})
    void namesATensorItHasNoUseFor(String name) {
        refuses(TestCheckpoints.tensors(config).zeros(name, DType.F32),
                "tensor \"" + name + "\" is F32 [], a name that this model has no use for");
    }

    @Test
    void leavesTheDraftBlockAside() {
        bind(TestCheckpoints.tensors(config).zeros("mtp.layers.0.enorm.weight", DType.BF16, 48)
                .zeros("mtp.anything", DType.I64, 3));
    }

    @Test
    void refusesTwoSpellingsOfOneTensor() {
        refuses(TestCheckpoints.tensors(config).zeros("model.norm_f.weight", DType.BF16, 48),
                "\"backbone.norm_f.weight\" and \"model.norm_f.weight\" are two spellings");
    }

    @Test
    void takesTheHeadFromTiedEmbeddings() {
        ModelConfig tied = TestCheckpoints.config(TestCheckpoints.CONFIG.replace("{\"model_type\"",
                "{\"tie_word_embeddings\": true, \"model_type\""));
        SafetensorsBytes tensors = TestCheckpoints.tensors(tied);
        try (SafetensorsFile file = SafetensorsFile.open(tensors.write(folder.resolve("m")))) {
            ModelWeights weights = WeightBinder.bind(tied, set(file), List.of());
            assertThat(((LinearWeight.Plain) weights.head()).tensor()).isEqualTo(weights.embeddings());
        }

        // a stored copy is fine, another head is not
        byte[] other = new byte[80 * 48 * 2];
        try (SafetensorsFile file = SafetensorsFile.open(tensors.put("lm_head.weight", DType.BF16, other, 80, 48)
                .write(folder.resolve("m")))) {
            WeightBinder.bind(tied, set(file), List.of());
        }
        other[77] = 1;
        try (SafetensorsFile file = SafetensorsFile.open(tensors.put("lm_head.weight", DType.BF16, other, 80, 48)
                .write(folder.resolve("m")))) {
            assertThatThrownBy(() -> WeightBinder.bind(tied, set(file), List.of()))
                    .isInstanceOf(CheckpointException.class).hasMessageContaining("tied");
        }
    }

    @Test
    void tellsTheFormatOfALinearByItsTensors() {
        SafetensorsBytes tensors = fp8(TestCheckpoints.tensors(config), 0.5f);
        tensors.zeros("lm_head.weight", DType.U8, 80, 24).zeros("lm_head.weight_scale", DType.F8_E4M3, 80, 3)
                .floats("lm_head.weight_scale_2", new float[] {0.25f}).floats("lm_head.input_scale", new float[] {3});

        try (SafetensorsFile file = SafetensorsFile.open(tensors.write(folder.resolve("m")))) {
            ModelWeights weights = bind(file, List.of());

            var query = (LinearWeight.Fp8) ((LayerWeights.Attention) weights.layers().get(2)).query();
            assertThat(query.scale()).isEqualTo(0.5f);
            assertThat(query.inputScale()).isNaN();
            var head = (LinearWeight.Nvfp4) weights.head();
            assertThat(head.globalScale()).isEqualTo(0.25f);
            assertThat(head.inputScale()).isEqualTo(3f);
        }
    }

    @Test
    void refusesQuantisedWeightsWithoutTheirScales() {
        refuses(TestCheckpoints.tensors(config).zeros(Q + ".weight", DType.F8_E4M3, 96, 48),
                "there is no \"" + Q + ".weight_scale\"");
        refuses(TestCheckpoints.tensors(config).zeros(Q + ".weight", DType.U8, 96, 24),
                "there is no \"" + Q + ".weight_scale_2\"");
        refuses(TestCheckpoints.tensors(config).zeros(Q + ".weight", DType.U8, 96, 24)
                .zeros(Q + ".weight_scale_2", DType.F32), "there is no \"" + Q + ".weight_scale\"");
        refuses(TestCheckpoints.tensors(config).zeros(Q + ".weight", DType.U8, 96, 24)
                .zeros(Q + ".weight_scale", DType.F8_E4M3, 96, 3), "needs F8_E4M3");
        refuses(TestCheckpoints.tensors(config).zeros(Q + ".weight_scale", DType.F32), "needs F8_E4M3");
        refuses(TestCheckpoints.tensors(config).zeros(Q + ".weight_scale_2", DType.F32), "there is no");
    }

    @Test
    void refusesScalesOfTheWrongShapeOrType() {
        SafetensorsBytes nvfp4 = TestCheckpoints.tensors(config).zeros(Q + ".weight", DType.U8, 96, 24)
                .zeros(Q + ".weight_scale", DType.F8_E4M3, 96, 4).zeros(Q + ".weight_scale_2", DType.F32);
        refuses(nvfp4, "is F8_E4M3 [96, 4]");
        refuses(nvfp4.zeros(Q + ".weight_scale", DType.BF16, 96, 3), "needs F8_E4M3");
        refuses(nvfp4.zeros(Q + ".weight_scale", DType.F8_E4M3, 96, 3).zeros(Q + ".weight", DType.U8, 96, 48),
                "needs [96, 24]");
        refuses(nvfp4.zeros(Q + ".weight", DType.U8, 96, 24).zeros(Q + ".weight_scale_2", DType.F32, 2),
                "one scale for the whole matrix");
        refuses(fp8(TestCheckpoints.tensors(config), 1).zeros(Q + ".weight_scale", DType.F32, 96),
                "one scale for the whole matrix");
        refuses(fp8(TestCheckpoints.tensors(config), 1).zeros(Q + ".weight_scale", DType.BF16),
                "one scale for the whole matrix");
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, -1})
    void refusesScalesThatAreNoNumbers(float scale) {
        refuses(fp8(TestCheckpoints.tensors(config), scale), "a scale is finite and not negative");
        refuses(fp8(TestCheckpoints.tensors(config), 1).floats(Q + ".input_scale", new float[] {scale}),
                "a scale is finite and not negative");
        refuses(TestCheckpoints.tensors(config).floats("backbone.layers.2.mixer.k_proj.k_scale", new float[] {scale})
                .floats("backbone.layers.2.mixer.v_proj.v_scale", new float[] {1}), "a scale is finite and not negative");
    }

    @Test
    void readsTheScalesOfAnFp8Cache() {
        SafetensorsBytes tensors = TestCheckpoints.tensors(config)
                .floats("backbone.layers.2.mixer.k_proj.k_scale", new float[] {0.5f});
        refuses(tensors, "v_proj.v_scale\" is missing");

        tensors.floats("backbone.layers.2.mixer.v_proj.v_scale", new float[] {2});
        try (SafetensorsFile file = SafetensorsFile.open(tensors.write(folder.resolve("m")))) {
            var attention = (LayerWeights.Attention) bind(file, List.of()).layers().get(2);
            assertThat(attention.keyScale()).isEqualTo(0.5f);
            assertThat(attention.valueScale()).isEqualTo(2f);
        }
    }

    /// Only the query projection is FP8.
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
            "{\"quant_algo\": \"MIXED_PRECISION\", \"quantized_layers\": {\"" + Q + "\": {\"quant_algo\": \"FP8\"}}} | ",
            "{\"quant_algo\": \"MIXED_PRECISION\", \"quantized_layers\": {\"model.layers.2.mixer.q_proj\": {\"quant_algo\": "
                    + "\"FP8\"}}} | ",
            "{\"quant_algo\": \"FP8\", \"exclude_modules\": [\"lm_head\", \"backbone.layers.0*\", \"backbone.layers.1\", "
                    + "\"*.k_proj\", \"*v_proj\", \"*2.mixer.o*\", \"*.layers.3.*\"]} | ",
            "{\"quant_algo\": null} | says that \"" + Q + "\" is PLAIN, but its tensors are FP8",
            "{\"quant_algo\": \"FP8\", \"exclude_modules\": [\"*\"]} | is PLAIN, but its tensors are FP8",
            "{\"quant_algo\": \"FP8\"} | is FP8, but its tensors are PLAIN",
            "{\"quant_algo\": \"MIXED_PRECISION\", \"quantized_layers\": {\"" + Q
                    + "\": {\"quant_algo\": \"NVFP4\"}}} | is NVFP4, but its tensors are FP8",
            "{\"quant_algo\": \"MIXED_PRECISION\", \"quantized_layers\": {\"lm_head\": {\"quant_algo\": \"FP8\"}}} | is"})
    void comparesTheTensorsWithTheQuantisationConfig(String quantization, String expected) {
        List<QuantizationConfig> configs = QuantizationConfigReader.read(Optional.of(("{\"quantization\": " + quantization
                + "}").getBytes(StandardCharsets.UTF_8)), "{}".getBytes(StandardCharsets.UTF_8));

        try (SafetensorsFile file = SafetensorsFile.open(fp8(TestCheckpoints.tensors(config), 1)
                .write(folder.resolve("m")))) {
            if (expected == null) {
                bind(file, configs);
            } else {
                assertThatThrownBy(() -> bind(file, configs)).isInstanceOf(CheckpointException.class)
                        .hasMessageStartingWith("hf_quant_config.json: ").hasMessageContaining(expected);
            }
        }
    }

    private static SafetensorsBytes fp8(SafetensorsBytes tensors, float scale) {
        return tensors.zeros(Q + ".weight", DType.F8_E4M3, 96, 48).floats(Q + ".weight_scale", new float[] {scale});
    }

    private SafetensorsBytes renamed(UnaryOperator<String> rename) {
        var tensors = new SafetensorsBytes();
        for (Parameter parameter : TensorInventory.of(config).parameters()) {
            tensors.zeros(rename.apply(parameter.name()), DType.BF16,
                    parameter.shape().stream().mapToLong(Long::longValue).toArray());
        }
        return tensors;
    }

    private void bind(SafetensorsBytes tensors) {
        try (SafetensorsFile file = SafetensorsFile.open(tensors.write(folder.resolve("m.safetensors")))) {
            assertThat(bind(file, List.of()).layers()).hasSize(4);
        }
    }

    private void refuses(SafetensorsBytes tensors, String expected) {
        try (SafetensorsFile file = SafetensorsFile.open(tensors.write(folder.resolve("m.safetensors")))) {
            assertThatThrownBy(() -> bind(file, List.of())).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining(expected);
        }
    }

    private ModelWeights bind(SafetensorsFile file, List<QuantizationConfig> quantization) {
        return WeightBinder.bind(config, set(file), quantization);
    }

    private static TensorSet set(SafetensorsFile file) {
        return Layouts.set(file.tensors());
    }
}
