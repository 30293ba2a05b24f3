package dev.sidewinder.engine.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.model.Model;
import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.SafetensorsBytes;
import dev.sidewinder.model.synthetic.SyntheticFolder;
import dev.sidewinder.model.synthetic.SyntheticModel;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// That the check of recordings would find what it is there for, shown on random weights and a recording that
/// [ReferenceModel] makes of them.
class GoldenCheckTest {

    private static final int STEPS = 4;
    private static final int[] LENGTHS = {5, 130};

    @TempDir
    static Path folder;

    private static Recorded recorded;

    /// A recording on its way to a file, free to be damaged.
    private static final class Recorded {
        String weights = GoldenRecording.sha256(folder.resolve("model.safetensors"));
        String names = "[\"short\",\"long\"]";
        int[] lengths = LENGTHS.clone();
        int[] tokens = new int[0];
        float[] logits = new float[0];
        int[] continuations = new int[0];
        float[] margins = new float[0];

        Recorded copy() {
            var copy = new Recorded();
            copy.tokens = tokens.clone();
            copy.logits = logits.clone();
            copy.continuations = continuations.clone();
            copy.margins = margins.clone();
            return copy;
        }

        Path write(Path path) {
            int count = LENGTHS.length;
            return new SafetensorsBytes().metadata("weights_sha256", weights).metadata("names", names)
                    .put("tokens", DType.I32, bytes(tokens), tokens.length)
                    .put("lengths", DType.I32, bytes(lengths), lengths.length)
                    .floats("logits", logits, count, logits.length / count)
                    .put("continuations", DType.I32, bytes(continuations), count, continuations.length / count)
                    .floats("margins", margins, count, margins.length / count)
                    .write(path);
        }

        private static byte[] bytes(int[] values) {
            ByteBuffer bytes = ByteBuffer.allocate(values.length * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            Arrays.stream(values).forEach(bytes::putInt);
            return bytes.array();
        }
    }

    @BeforeAll
    static void record() throws IOException {
        Files.createDirectory(folder.resolve("golden"));
        SyntheticFolder.write(SyntheticModel.parse("synthetic:demo,vocab=64,layers=ME*-"), folder,
                SyntheticFolder.DEFAULT_SHARD_BYTES, _ -> {});
        var random = new Random(11);
        recorded = new Recorded();
        try (Model model = Model.open(folder.toString())) {
            for (int length : LENGTHS) {
                while (!record(model, random.ints(length, 0, 64).toArray())) {
                    // a margin was too small: another prompt
                }
            }
        }
    }

    /// Adds a prompt to the recording, unless rounding could turn its continuation.
    private static boolean record(Model model, int[] prompt) {
        int[] all = Arrays.copyOf(prompt, prompt.length + STEPS);
        float[] margins = new float[STEPS];
        float[] first = null;
        for (int step = 0; step < STEPS; step++) {
            int[] soFar = Arrays.copyOf(all, prompt.length + step);
            double[] exact = new ReferenceModel(model.config(), model.weights()).run(soFar)[soFar.length - 1];
            float[] logits = new float[exact.length];
            for (int i = 0; i < logits.length; i++) {
                logits[i] = (float) exact[i];
            }
            first = first == null ? logits : first;
            all[prompt.length + step] = GoldenCheck.argmax(logits);
            float[] sorted = logits.clone();
            Arrays.sort(sorted);
            margins[step] = sorted[sorted.length - 1] - sorted[sorted.length - 2];
            if (margins[step] < GoldenCheck.LEAST_MARGIN) {
                return false;
            }
        }
        recorded.tokens = joined(recorded.tokens, prompt);
        recorded.continuations = joined(recorded.continuations, Arrays.copyOfRange(all, prompt.length, all.length));
        recorded.logits = joined(recorded.logits, first);
        recorded.margins = joined(recorded.margins, margins);
        return true;
    }

    @Test
    void aRecordingOfTheseWeightsPasses() {
        assertThatCode(() -> check(recorded)).doesNotThrowAnyException();
    }

    @Test
    void findsOneLogitThatIsOff() {
        fails(damaged -> damaged.logits[63] += 1.5e-3f, "logits after \"short\": worst at token 63");
        fails(damaged -> damaged.logits[64] -= 1.5e-3f, "logits after \"long\": worst at token 0");
        fails(damaged -> damaged.logits[70] = Float.NaN, "logits after \"long\": worst at token 6");
    }

    @Test
    void findsOneTokenThatIsAnother() {
        fails(damaged -> damaged.continuations[STEPS - 1] ^= 1, "token 3 behind \"short\"");
        fails(damaged -> damaged.continuations[STEPS] ^= 1, "token 0 behind \"long\"");
    }

    @Test
    void refusesARecordingOfOtherWeights() {
        fails(damaged -> damaged.weights = "0".repeat(64), "the weights that were recorded");
    }

    @Test
    void refusesWhatRoundingCouldTurn() {
        fails(damaged -> damaged.margins[5] = 0.009f, "margin of \"long\"");
        fails(damaged -> damaged.margins[5] = Float.NaN, "margin of \"long\"");
    }

    @Test
    void saysWhatIsWrongWithARecording() {
        fails(damaged -> damaged.lengths[0]++, "the lengths do not add up to the tokens");
        fails(damaged -> damaged.lengths = new int[] {135, 0}, "a prompt is empty");
        fails(damaged -> damaged.names = "[\"one\"]", "1 names for 2 prompts");
        fails(damaged -> damaged.names = "[", "\"names\" is no JSON list");
        fails(damaged -> damaged.margins = new float[2], "continuations and margins differ in size");
        Path file = new SafetensorsBytes().zeros("tokens", DType.I32, 1).write(folder.resolve("golden/part"));
        assertThatThrownBy(() -> GoldenRecording.read(file)).hasMessageContaining("the tensors are [tokens]");
    }

    private static void fails(Consumer<Recorded> damage, String message) {
        Recorded damaged = recorded.copy();
        damage.accept(damaged);
        assertThatThrownBy(() -> check(damaged)).hasMessageContaining(message);
    }

    private static void check(Recorded recorded) {
        Path file = recorded.write(folder.resolve("golden/golden.safetensors"));
        try (GoldenCheck check = GoldenCheck.open(folder, file)) {
            assertThat(check.prompts()).hasSize(LENGTHS.length);
            for (int piece : new int[] {1, 128, 512}) {
                check.prompts().forEach(prompt -> check.agrees(prompt, piece));
            }
        }
    }

    private static int[] joined(int[] first, int[] second) {
        int[] both = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        return both;
    }

    private static float[] joined(float[] first, float[] second) {
        float[] both = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        return both;
    }
}
