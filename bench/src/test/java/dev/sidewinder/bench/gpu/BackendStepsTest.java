package dev.sidewinder.bench.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.bench.gpu.BackendSteps.Sequence;
import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.LaunchedStep;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.engine.RowSampler;
import dev.sidewinder.engine.Sample;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.TokenSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BackendStepsTest {

    private static final int VOCABULARY = 50;

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void generatesTheTokensThatTheBackendChooses(boolean ahead) {
        var backend = new Counting(ahead);
        var steps = new BackendSteps(backend);
        try (Sequence one = steps.admit(200, 1); Sequence two = steps.admit(200, 2)) {
            steps.prompt(List.of(one, two), 128, LogitRows.LAST);
            steps.prompt(List.of(one), 5, LogitRows.LAST);

            double[] micros = steps.generate(List.of(one, two), 4);

            // then each token follows from its sequence and position, and the last step's token stands behind
            assertThat(micros).hasSize(4);
            assertThat(Arrays.stream(micros)).allMatch(time -> time > 0);
            for (int i = 0; i <= 4; i++) {
                assertThat(one.token(133 + i)).isEqualTo(Counting.token(1, 133 + i));
                assertThat(two.token(128 + i)).isEqualTo(Counting.token(2, 128 + i));
            }
            assertThat(one.next()).isEqualTo(Counting.token(1, 137));
            assertThat(one.length()).isEqualTo(137);
            assertThat(two.length()).isEqualTo(132);
        }
        // and a step was launched behind another only where that was allowed
        assertThat(backend.mostUnderWay).isEqualTo(ahead ? 2 : 1);
        assertThat(backend.log).startsWith("launch", "sample").endsWith("await");
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void endsWhenThereIsEnough(boolean ahead) {
        var backend = new Counting(ahead);
        var steps = new BackendSteps(backend);
        try (Sequence sequence = steps.admit(100, 1)) {
            steps.prompt(List.of(sequence), 10, LogitRows.LAST);

            assertThat(steps.generate(List.of(sequence), 50, done -> done == 3)).hasSize(3);

            assertThat(backend.underWay).isZero();
            assertThat(sequence.token(13)).isEqualTo(Counting.token(1, 13));
        }
    }

    @Test
    void takesNoLogitsOfStepsThatAreOnlyTimed() {
        var backend = new Counting(true);
        var steps = new BackendSteps(backend);
        try (Sequence sequence = steps.admit(100, 1)) {
            steps.prompt(List.of(sequence), 10, LogitRows.NONE);
            assertThat(steps.decode(List.of(sequence))).isPositive();
            assertThat(sequence.length()).isEqualTo(11);
            assertThat(backend.rows).isZero();
        }
    }

    @Test
    void isNeverFastWithABrokenBackend() {
        var backend = new Counting(false);
        backend.value = Float.NaN;
        var steps = new BackendSteps(backend);
        try (Sequence sequence = steps.admit(100, 1)) {
            assertThatThrownBy(() -> steps.prompt(List.of(sequence), 10, LogitRows.LAST))
                    .isInstanceOf(IllegalStateException.class).hasMessageContaining("NotFinite");
            assertThatThrownBy(() -> steps.generate(List.of(sequence), 1))
                    .isInstanceOf(IllegalStateException.class).hasMessageContaining("NotFinite");
        }
    }

    /// Its logits say which sequence and position they belong to. Holds callers to the order of calls.
    private static final class Counting implements Backend {

        private final boolean ahead;
        private final List<String> log = new ArrayList<>();
        private float value = 1;
        private int rows;
        private int underWay;
        private int mostUnderWay;
        private boolean mayLaunch = true;

        Counting(boolean ahead) {
            this.ahead = ahead;
        }

        static int token(long sequence, int position) {
            return (int) (sequence * 31 + position * 7) % VOCABULARY;
        }

        @Override
        public BackendMemory memory() {
            return new BackendMemory(FrameShape.holding(3, 8, 2), HostShape.NONE);
        }

        @Override
        public int vocabSize() {
            return VOCABULARY;
        }

        @Override
        public Logits forward(Batch batch) {
            float[] values = new float[batch.logitRows() * VOCABULARY];
            int row = 0;
            for (BatchEntry entry : batch.entries()) {
                if (entry.logitRows() > 0) {
                    values[row++ * VOCABULARY + token(entry.sequence(), entry.from() + entry.count())] = value;
                }
            }
            rows = row;
            return new Logits(values, row, VOCABULARY);
        }

        @Override
        public LaunchedStep launch(Batch batch) {
            assertThat(mayLaunch).as("a step may be launched").isTrue();
            log.add("launch");
            mostUnderWay = Math.max(mostUnderWay, ++underWay);
            for (BatchEntry entry : batch.entries()) {
                assertThat(entry.source()).isIn(underWay == 2 ? List.of(TokenSource.UNREAD)
                        : List.of(TokenSource.PROMPT, TokenSource.GENERATED));
            }
            Logits logits = forward(batch);
            mayLaunch = false;
            return new LaunchedStep() {
                private Sample[] samples;

                @Override
                public boolean sample(RowSampler sampler) {
                    assertThat(underWay).as("steps under way").isEqualTo(1);
                    log.add("sample");
                    samples = new Sample[logits.rows()];
                    for (int row = 0; row < samples.length; row++) {
                        samples[row] = sampler.sample(row, logits.values(), logits.offset(row));
                    }
                    mayLaunch = ahead;
                    return ahead;
                }

                @Override
                public Sample[] await() {
                    log.add("await");
                    underWay--;
                    mayLaunch |= underWay == 0;
                    return samples;
                }

                @Override
                public boolean isFinite(int entry) {
                    return true;
                }
            };
        }

        @Override
        public String description() {
            return "counts";
        }

        @Override
        public void close() {}
    }
}
