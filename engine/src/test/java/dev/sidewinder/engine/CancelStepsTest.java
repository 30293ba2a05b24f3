package dev.sidewinder.engine;

import static dev.sidewinder.engine.TestEngine.CACHE;
import static dev.sidewinder.engine.TestEngine.VOCAB;
import static dev.sidewinder.engine.TestEngine.lastOf;
import static dev.sidewinder.engine.TestEngine.request;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// A cancel that has arrived ends the work on its request with the step that runs, and two steps later its memory is free,
/// in every phase. The cancels here arrive in the middle of a known step, so no timing decides.
class CancelStepsTest {

    /// The bystander's request: it keeps the steps coming.
    private static final int BYSTANDER_TOKENS = 40;

    private final TestEngine test = new TestEngine();

    @AfterEach
    void close() {
        test.close();
    }

    @ParameterizedTest(name = "{0}: n={1}, prompt of {2} tokens, in step {3}")
    @CsvSource({
        "the prompt's first piece,   1, 2000,  2",
        "in the middle of a prompt,  1, 2000,  4",
        "prompts and decodes mixed,  3,  600,  3",
        "the first decode,           1,    1,  3",
        "decoding,                   1,    1, 20",
        "decoding several choices,   3,    1, 20",
    })
    void endsTheWorkWithTheStepThatRuns(String phase, int choices, int promptTokens, int cancelStep) throws InterruptedException {
        // given a request that runs beside another one
        var watched = new Observation(cancelStep);
        test.start(new WatchedBackend(new FakeBackend(VOCAB, CACHE), watched::beginStep));
        watched.engine = test.engine();
        Generation bystander = test.submit(request(BYSTANDER_TOKENS, 1));
        watched.cancelled = test.submit(new GenerationRequest("cancelled", new int[promptTokens], 2000, 0, Set.of(), choices, -1,
                SamplingParams.greedy()));
        watched.ready.set(true);

        // when its cancel arrives in the middle of a step
        assertThat(lastOf(watched.cancelled)).isInstanceOf(GenerationEvent.Finished.class);
        assertThat(lastOf(bystander)).isEqualTo(new GenerationEvent.Finished(0, FinishReason.LENGTH));
        test.awaitRest();

        // then it was in that step, in no later one, and its memory was free when the second one after it began
        assertThat(watched.sequencesInCancelStep).as("the request ran when it was cancelled").hasSizeGreaterThan(1);
        assertThat(watched.sequencesLater).as("only the bystander goes on").hasSize(1);
        assertThat(watched.runningTwoStepsLater).isEqualTo(1);
        assertThat(watched.slotsInUseTwoStepsLater).isEqualTo(1);
        // and that is what the observer is told, for each choice that held memory
        assertThat(test.stepsToFree()).isNotEmpty().hasSizeLessThanOrEqualTo(choices).containsOnly(1);
    }

    /// Cancels in a step, and notes who runs in it and later.
    private static final class Observation {

        private final int cancelStep;
        private final AtomicBoolean ready = new AtomicBoolean();
        private volatile Engine engine;
        private volatile Generation cancelled;
        private final Set<Long> sequencesInCancelStep = new HashSet<>();
        private final Set<Long> sequencesLater = new HashSet<>();
        private int runningTwoStepsLater = -1;
        private int slotsInUseTwoStepsLater = -1;
        private int step;

        Observation(int cancelStep) {
            this.cancelStep = cancelStep;
        }

        Batch beginStep(Batch batch) {
            if (step == 0) {
                // the second request shall be there before the first step of the first has ended
                TestEngine.await(ready::get);
            }
            step++;
            List<Long> sequences = batch.entries().stream().map(BatchEntry::sequence).toList();
            if (step == cancelStep) {
                sequencesInCancelStep.addAll(sequences);
                cancelled.cancel();
            } else if (step > cancelStep) {
                sequencesLater.addAll(sequences);
            }
            if (step == cancelStep + 2) {
                EngineStatus status = engine.status();
                runningTwoStepsLater = status.running();
                slotsInUseTwoStepsLater = status.cache().runningStates();
            }
            return batch;
        }
    }
}
