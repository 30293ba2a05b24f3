package dev.sidewinder.engine.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.LogitRows;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The backend against [ReferenceModel], for every layer kind, option and number format that the golden checkpoint does
/// not have.
class ReferenceModelTest {

    /// Sums of fp32 against doubles, over a few layers; logits are of the order of 1.
    private static final double F32_TOLERANCE = 2e-4;
    /// Root-mean-square error of bf16 logits relative to their own size: 8 bits in every factor.
    private static final double BF16_RELATIVE_ERROR = 0.03;
    private static final int PROMPT_TOKENS = 150;
    private static final int PIECE = 128;

    private static final String ODD = "hidden=80,vocab=300,mamba-heads=6,mamba-head-dim=24,groups=2,state=20,"
            + "query-heads=6,kv-heads=2,head-dim=24,dense=72,experts=6,active=2,intermediate=48,shared=64";

    @ParameterizedTest
    @ValueSource(strings = {
            "synthetic:tiny,layers=M," + ODD,
            "synthetic:tiny,layers=M,conv=2,groups=6," + "hidden=80,vocab=300,mamba-heads=6,mamba-head-dim=24,state=20",
            "synthetic:tiny,layers=*," + ODD,
            "synthetic:tiny,layers=-," + ODD,
            "synthetic:tiny,layers=E," + ODD,
            "synthetic:tiny,layers=E,shared=0," + "hidden=80,vocab=300,experts=6,active=2,intermediate=48",
            "synthetic:tiny,layers=E,latent=48," + ODD,
            "synthetic:tiny,layers=M-*EM," + ODD,
            "synthetic:tiny,layers=M-*EM,latent=48," + ODD,
            "synthetic:tiny,layers=M*E",
            "synthetic:tiny,layers=M-*EM?format=fp8",
            "synthetic:tiny,layers=M-*EM?format=nvfp4"})
    void agreesOnEveryLayerKindAndFormat(String location) {
        try (Model model = Model.open(location)) {
            assertAgrees(model, model.config());
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void agreesOnRoutingGroups(int activeGroups) {
        try (Model model = Model.open("synthetic:tiny,layers=E,hidden=80,vocab=300,experts=12,active=3,intermediate=48")) {
            ModelConfig config = model.config();
            var spec = (LayerSpec.Experts) config.layers().getFirst();
            var grouped = new LayerSpec.Experts(spec.routed(), spec.active(), spec.intermediate(),
                    spec.sharedIntermediate(), spec.latent(), 4, activeGroups, spec.normalise(), spec.scale());
            assertAgrees(model, withLayers(config, List.of(grouped)));
        }
    }

    @Test
    void agreesWhenRouterWeightsAreNotNormalised() {
        try (Model model = Model.open("synthetic:tiny,layers=E,hidden=80,vocab=300,experts=12,active=3,intermediate=48")) {
            ModelConfig config = model.config();
            var spec = (LayerSpec.Experts) config.layers().getFirst();
            var plain = new LayerSpec.Experts(spec.routed(), spec.active(), spec.intermediate(),
                    spec.sharedIntermediate(), spec.latent(), 1, 1, false, 1.5f);
            assertAgrees(model, withLayers(config, List.of(plain)));
        }
    }

    private static ModelConfig withLayers(ModelConfig config, List<LayerSpec> layers) {
        return new ModelConfig(config.hiddenSize(), config.vocabSize(), config.normEpsilon(), layers,
                config.maxPositionEmbeddings(), config.tiedEmbeddings(), config.bosTokenId(), config.eosTokenIds(),
                config.padTokenId(), config.draftLayers());
    }

    private static void assertAgrees(Model model, ModelConfig config) {
        int[] prompt = new Random(17).ints(PROMPT_TOKENS, 0, config.vocabSize()).toArray();
        double[][] expected = new ReferenceModel(config, model.weights()).run(prompt);

        for (CpuOptions.Products products : CpuOptions.Products.values()) {
            float[][] exact = run(model, config, prompt, Arithmetic.F32, products);
            assertThat(worstDifference(expected, exact)).as("f32, " + products).isLessThan(F32_TOLERANCE);

            float[][] rounded = run(model, config, prompt, Arithmetic.BF16, products);
            assertThat(medianRelativeError(expected, rounded)).as("bf16, " + products).isLessThan(BF16_RELATIVE_ERROR);
        }
    }

    private static float[][] run(Model model, ModelConfig config, int[] prompt, Arithmetic arithmetic,
            CpuOptions.Products products) {
        var options = new CpuOptions(arithmetic, 2, PIECE, products);
        float[][] rows = new float[prompt.length][];
        try (var backend = new CpuBackend(config, model.weights(), new CacheShape(4, 2), options, LoadProgress.SILENT)) {
            var sequence = TestSequence.at(1, 2, prompt);
            for (int row = 0; row < prompt.length;) {
                int count = Math.min(PIECE, sequence.remaining());
                Logits logits = backend.forward(new Batch(1, List.of(sequence.next(count, LogitRows.ALL))));
                for (int i = 0; i < count; i++) {
                    rows[row++] = Arrays.copyOfRange(logits.values(), logits.offset(i), logits.offset(i + 1));
                }
            }
        }
        return rows;
    }

    private static double worstDifference(double[][] expected, float[][] actual) {
        double worst = 0;
        for (int row = 0; row < expected.length; row++) {
            for (int i = 0; i < expected[row].length; i++) {
                double difference = Math.abs(expected[row][i] - actual[row][i]);
                worst = difference <= worst ? worst : difference;
            }
        }
        return worst;
    }

    /// The median over the rows: a near tie in a router may send a few tokens to another expert.
    private static double medianRelativeError(double[][] expected, float[][] actual) {
        double[] errors = new double[expected.length];
        for (int row = 0; row < expected.length; row++) {
            double error = 0;
            double size = 0;
            for (int i = 0; i < expected[row].length; i++) {
                error += Math.pow(expected[row][i] - actual[row][i], 2);
                size += Math.pow(expected[row][i], 2);
            }
            errors[row] = Math.sqrt(error / size);
        }
        Arrays.sort(errors);
        return errors[errors.length / 2];
    }
}
