package dev.sidewinder.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ModelRunnerTest {

    private static final Measurement.Plan ONCE = new Measurement.Plan(1, Duration.ZERO, new Narrator(System.err, false));

    /// Remembers the batches and computes nothing.
    private static final class Recorder implements Backend {
        private final List<String> steps = new ArrayList<>();
        private final Map<Integer, Long> owners = new HashMap<>();
        private float value = 1;

        @Override
        public BackendMemory memory() {
            return new BackendMemory(FrameShape.holding(2, 20, 5), HostShape.NONE);
        }

        @Override
        public int vocabSize() {
            return 100;
        }

        @Override
        public Logits forward(Batch batch) {
            var text = new StringBuilder();
            for (BatchEntry entry : batch.entries()) {
                assertThat(entry.allocation().blockCount())
                        .isEqualTo(CacheShape.blocksFor(entry.from() + entry.count()));
                long owner = entry.from() == 0 ? entry.sequence() : owners.get(entry.allocation().slot());
                assertThat(entry.sequence()).as("sequence of slot %d", entry.allocation().slot()).isEqualTo(owner);
                owners.put(entry.allocation().slot(), owner);
                text.append(entry.from()).append('+').append(entry.count())
                        .append(entry.logits() == LogitRows.LAST ? "! " : " ");
            }
            steps.add(text.toString().strip());
            var values = new float[batch.logitRows() * 100];
            Arrays.fill(values, value);
            return new Logits(values, batch.logitRows(), 100);
        }

        @Override
        public String description() {
            return "recorder";
        }

        @Override
        public void close() {}
    }

    @Test
    void aPromptGoesInPiecesAndOnlyItsEndHasLogits() throws Exception {
        var backend = new Recorder();

        Measurement measurement = new ModelRunner(backend, 256).measure(ModelTest.parse("pp600"), ONCE);

        assertThat(backend.steps.subList(0, 3)).containsExactly("0+256", "256+256", "512+88!");
        assertThat(measurement.name()).isEqualTo("pp600");
        assertThat(measurement.median()).isPositive();
    }

    @Test
    void sequencesDecodeTogetherAfterTheirPrompts() throws Exception {
        var backend = new Recorder();

        new ModelRunner(backend, 256).measure(ModelTest.parse("par2x3@130"), ONCE);

        assertThat(backend.steps.subList(0, 5)).containsExactly("0+130!", "0+130!", "130+1! 130+1!",
                "131+1! 131+1!", "132+1! 132+1!");
    }

    @Test
    void aBackendThatComputesNonsenseIsNotMeasured() {
        var backend = new Recorder();
        backend.value = Float.NaN;

        assertThatThrownBy(() -> new ModelRunner(backend, 256).measure(ModelTest.parse("pp1"), ONCE))
                .isInstanceOf(IllegalStateException.class).hasMessageContaining("NaN");
    }

    @ParameterizedTest
    @ValueSource(strings = {"pp1", "tg64@2048", "par8x32@64"})
    void testsAreWrittenAsTheyAreRead(String text) {
        assertThat(ModelTest.parse(text)).hasToString(text);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "pp", "tg64", "par8@4", "pp-1", "xx12"})
    void whatIsNoTestIsRefused(String text) {
        assertThatThrownBy(() -> ModelTest.parse(text)).hasMessageContaining("\"" + text + "\" is no test");
    }

    @Test
    void tokensAreThoseOfThePeer() {
        // the first values of rnd() in peers/llamacpp/peerbench.c for a vocabulary of 32768, repeat 0
        var tokens = new RandomTokens(32768, 0);

        assertThat(new int[] {tokens.next(), tokens.next(), tokens.next()}).containsExactly(5552, 17819, 6864);
    }

    @Test
    void aStepReadsEveryMatrixAndTheChosenExperts() {
        try (Model model = Model.open("synthetic:tiny")) {
            double one = WeightTraffic.bytesPerStep(model.config(), model.weights(), 1);
            double many = WeightTraffic.bytesPerStep(model.config(), model.weights(), 10_000);

            // tiny in bf16: 3 Mamba layers, 1 of attention, 3 of experts, head; 2 of 8 experts run for a token
            double mamba = 3 * (256 * (2 * 512 + 2 * 2 * 128 + 8) + 512 * 256) * 2.0;
            double attention = (256 * 256 + 2 * 128 * 256 + 256 * 256) * 2.0;
            double expert = 3 * (2 * 128 * 256) * 2.0;
            double shared = 3 * (2 * 256 * 256 + 8 * 256) * 2.0;
            double head = 1024 * 256 * 2.0;
            assertThat(one).isEqualTo(mamba + attention + 2 * expert + shared + head);
            assertThat(many).isEqualTo(mamba + attention + 8 * expert + shared + head);
        }
    }
}
