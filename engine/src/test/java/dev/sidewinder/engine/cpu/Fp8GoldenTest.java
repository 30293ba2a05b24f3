package dev.sidewinder.engine.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.LogitRows;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// An FP8 checkpoint that the PyTorch side of `models/tiny` wrote, against what it says of it with activations in FP8.
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class Fp8GoldenTest {

    /// Two implementations that add in another order stay below 1e-6, unless a sum crosses the border between two codes:
    /// one activation is then off by a sixteenth.
    private static final double RELATIVE_ERROR = 0.01;
    /// What is left out when activations are not rounded; measured 0.026 to 0.065.
    private static final double WITHOUT_ROUNDING = 0.02;
    /// A choice that one such activation does not turn.
    private static final float CLEAR_MARGIN = 0.1f;
    private static final int BLOCKS = 2;

    private final Path folder = folder();
    private final GoldenRecording recording = GoldenRecording.read(folder.resolve("golden.safetensors"));

    private static Path folder() {
        try {
            return Path.of(Fp8GoldenTest.class.getResource("/golden/fp8").toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    List<GoldenRecording.Prompt> prompts() {
        return recording.prompts();
    }

    @Test
    void theRecordingIsOfTheseWeights() {
        assertThat(recording.weightsSha256()).isEqualTo(GoldenRecording.sha256(folder.resolve("model.safetensors")));
        assertThat(prompts()).extracting(prompt -> prompt.tokens().length).containsExactly(1, 2, 5, 64, 127, 128, 129, 200);
    }

    @ParameterizedTest
    @MethodSource("prompts")
    void saysWhatPyTorchSays(GoldenRecording.Prompt prompt) {
        try (Model model = Model.open(folder.toString()); CpuBackend backend = backend(model, Arithmetic.FP8)) {
            var sequence = TestSequence.at(0, BLOCKS, prompt.tokens());
            float[] logits = run(backend, sequence);
            assertThat(relativeError(prompt.logits(), logits)).isLessThan(RELATIVE_ERROR);
            int clear = 0;
            for (int step = 0; step < prompt.continuation().length; step++) {
                if (prompt.margins()[step] >= CLEAR_MARGIN) {
                    clear++;
                    assertThat(GoldenCheck.argmax(logits)).as("token %d", step).isEqualTo(prompt.continuation()[step]);
                }
                sequence.append(prompt.continuation()[step]);
                logits = run(backend, sequence);
            }
            assertThat(clear).as("clear choices").isGreaterThan(prompt.continuation().length / 2);
        }
    }

    /// Else the test above would pass without any rounding.
    @ParameterizedTest
    @MethodSource("prompts")
    void activationsThatAreNotRoundedSaySomethingElse(GoldenRecording.Prompt prompt) {
        try (Model model = Model.open(folder.toString()); CpuBackend backend = backend(model, Arithmetic.F32)) {
            float[] logits = run(backend, TestSequence.at(0, BLOCKS, prompt.tokens()));

            assertThat(relativeError(prompt.logits(), logits)).isBetween(WITHOUT_ROUNDING, 5 * WITHOUT_ROUNDING);
        }
    }

    @Test
    void saysWhetherActivationsAreRounded() {
        try (Model fp8 = Model.open(folder.toString()); Model plain = GoldenData.model()) {
            assertThat(CpuBackend.takesFp8Activations(fp8.weights())).isTrue();
            assertThat(CpuBackend.takesFp8Activations(plain.weights())).isFalse();
        }
    }

    private static CpuBackend backend(Model model, Arithmetic arithmetic) {
        return new CpuBackend(model.config(), model.weights(), new CacheShape(BLOCKS, 1),
                new CpuOptions(arithmetic, 2, 256, CpuOptions.Products.BEST), LoadProgress.SILENT);
    }

    private static float[] run(CpuBackend backend, TestSequence sequence) {
        Logits logits = backend.forward(new Batch(1, List.of(sequence.next(sequence.remaining(), LogitRows.LAST))));
        return Arrays.copyOfRange(logits.values(), logits.offset(0), logits.offset(1));
    }

    private static double relativeError(float[] expected, float[] actual) {
        double squares = 0;
        double differences = 0;
        for (int i = 0; i < expected.length; i++) {
            squares += (double) expected[i] * expected[i];
            differences += (double) (actual[i] - expected[i]) * (actual[i] - expected[i]);
        }
        return Math.sqrt(differences / squares);
    }
}
