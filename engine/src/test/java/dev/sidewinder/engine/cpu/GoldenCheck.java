package dev.sidewinder.engine.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/// Holds a checkpoint folder's `f32` arithmetic against a recording of the same weights.
final class GoldenCheck implements AutoCloseable {

    /// Two float32 implementations that add in another order stay about ten times below this.
    static final float LOGIT_TOLERANCE = 1e-3f;

    /// What two logits that are each off by the tolerance can lose, five times.
    static final float LEAST_MARGIN = 0.01f;

    private static final int PIECE_TOKENS = 512;

    private final GoldenRecording recording;
    private final Model model;
    private final CpuBackend backend;
    private final int blocks;

    /// Opens both.
    ///
    /// @throws AssertionError when the recording is of other weights, or compares what rounding can turn
    static GoldenCheck open(Path folder, Path file) {
        GoldenRecording recording = GoldenRecording.read(file);
        assertThat(recording.weightsSha256()).as("the weights that were recorded, for model.safetensors as it is")
                .isEqualTo(GoldenRecording.sha256(folder.resolve("model.safetensors")));
        for (GoldenRecording.Prompt prompt : recording.prompts()) {
            for (float margin : prompt.margins()) {
                assertThat(margin).as("margin of \"%s\"", prompt.name()).isGreaterThanOrEqualTo(LEAST_MARGIN);
            }
        }
        return new GoldenCheck(recording, Model.open(folder.toString()));
    }

    private GoldenCheck(GoldenRecording recording, Model model) {
        this.recording = recording;
        this.model = model;
        int longest = recording.prompts().stream()
                .mapToInt(prompt -> prompt.tokens().length + prompt.continuation().length).max().orElseThrow();
        this.blocks = CacheShape.blocksFor(longest);
        this.backend = new CpuBackend(model.config(), model.weights(), new CacheShape(blocks, 1),
                new CpuOptions(Arithmetic.F32, 2, PIECE_TOKENS, CpuOptions.Products.BEST), LoadProgress.SILENT);
    }

    List<GoldenRecording.Prompt> prompts() {
        return recording.prompts();
    }

    int vocabSize() {
        return model.config().vocabSize();
    }

    /// Runs a prompt in pieces and goes on with it.
    ///
    /// @param piece tokens in one piece, at most 512
    /// @throws AssertionError with the place of the first difference
    void agrees(GoldenRecording.Prompt prompt, int piece) {
        var sequence = TestSequence.at(0, blocks, prompt.tokens());
        while (sequence.remaining() > piece) {
            run(sequence.next(piece, LogitRows.NONE));
        }
        float[] logits = run(sequence.next(sequence.remaining(), LogitRows.LAST));
        assertClose(prompt, logits);
        int[] continuation = prompt.continuation();
        for (int step = 0; step < continuation.length; step++) {
            assertThat(argmax(logits)).as("token %d behind \"%s\"", step, prompt.name()).isEqualTo(continuation[step]);
            if (step + 1 < continuation.length) {
                sequence.append(continuation[step]);
                logits = run(sequence.next(1, LogitRows.LAST));
            }
        }
    }

    private float[] run(BatchEntry entry) {
        Logits logits = backend.forward(new Batch(1, List.of(entry)));
        return entry.logitRows() == 0
                ? new float[0]
                : Arrays.copyOfRange(logits.values(), logits.offset(0), logits.offset(1));
    }

    private static void assertClose(GoldenRecording.Prompt prompt, float[] actual) {
        float[] expected = prompt.logits();
        assertThat(actual).hasSameSizeAs(expected);
        double squares = 0;
        double differences = 0;
        int worst = 0;
        double worstDifference = 0;
        for (int i = 0; i < expected.length; i++) {
            double difference = actual[i] - expected[i];
            squares += (double) expected[i] * expected[i];
            differences += difference * difference;
            // NaN is the worst of all, and what comes behind it is no worse
            if (!Double.isNaN(worstDifference) && !(Math.abs(difference) <= worstDifference)) {
                worst = i;
                worstDifference = Math.abs(difference);
            }
        }
        assertThat(worstDifference < LOGIT_TOLERANCE)
                .as("logits after \"%s\": worst at token %d, recorded %s, computed %s; relative error of all %.2e",
                        prompt.name(), worst, expected[worst], actual[worst], Math.sqrt(differences / squares))
                .isTrue();
    }

    static int argmax(float[] values) {
        int best = 0;
        for (int i = 1; i < values.length; i++) {
            if (values[i] > values[best]) {
                best = i;
            }
        }
        return best;
    }

    @Override
    public void close() {
        backend.close();
        model.close();
    }
}
