package dev.sidewinder.engine;

import static dev.sidewinder.engine.TestEngine.await;
import static dev.sidewinder.engine.TestEngine.outcome;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// A request whose prompt is scored has to leave for an older one, and there is no room for it on the host, so that it is computed
/// again: among and after the pieces that bring its scores. They come once, and they and its tokens are as they are alone.
@Timeout(60)
class RecomputedScoresTest {

    private static final int VOCAB = 61;
    private static final EngineLimits LIMITS = new EngineLimits(2, 256, 8, 100_000, 1000);
    /// Two states and four blocks, and a host area without room for blocks.
    private static final BackendMemory MEMORY = new BackendMemory(FrameShape.holding(2, 4, 1), new HostShape(1, 0));

    private static GenerationRequest request(String id, int prompt, int maxTokens, int promptLogprobs) {
        int[] tokens = new int[prompt];
        Arrays.setAll(tokens, i -> (i * 31 + prompt) % VOCAB);
        var seeded = new SamplingParams(0.8, 0, 1, 0, 1.2, 0.4, 0.3, Map.of(), List.of(), List.of(), 5, 2);
        return new GenerationRequest(id, tokens, maxTokens, 0, Set.of(), 1, promptLogprobs, seeded);
    }

    private static Generation submit(Engine engine, GenerationRequest request) {
        try (Engine.Place place = engine.reserve(1, 0)) {
            return place.submit(request);
        }
    }

    private static Outcome alone(GenerationRequest request) throws InterruptedException {
        try (Engine engine = Engine.start(new FakeBackend(VOCAB, MEMORY), LIMITS, EngineObserver.NONE)) {
            return outcome(submit(engine, request), 1);
        }
    }

    /// The older request needs its second block in step 10. Until then the younger one has run from the step behind its arrival on: a
    /// piece of 128 tokens, two, all three, and up to five tokens of its answer.
    @ParameterizedTest
    @ValueSource(ints = {2, 4, 5, 6, 7, 8})
    void scoresOfAPromptThatIsComputedAgainAreThoseAlone(int arrivesInStep) throws InterruptedException {
        GenerationRequest older = request("older", 120, 300, -1);
        GenerationRequest scored = request("scored", 300, 60, 2);
        var engine = new AtomicReference<Engine>();
        var younger = new AtomicReference<Generation>();
        FakeBackend backend = new FakeBackend(VOCAB, MEMORY).before(step -> {
            if (step == arrivesInStep) {
                younger.set(submit(engine.get(), scored));
            }
        });
        try (Engine running = Engine.start(backend, LIMITS, EngineObserver.NONE)) {
            engine.set(running);

            Outcome first = outcome(submit(running, older), 1);
            Outcome second = outcome(younger.get(), 1);

            await(() -> running.status().atRest());
            assertThat(running.status().preemptions().recomputed()).isPositive();
            assertThat(running.status().preemptions().copied()).isZero();
            assertThat(first.differenceFromSolo(alone(older))).isEmpty();
            assertThat(second.differenceFromSolo(alone(scored))).isEmpty();
            assertThat(second.hasPromptScores()).isTrue();
        }
    }
}
