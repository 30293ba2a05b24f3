package dev.sidewinder.engine;

import static dev.sidewinder.engine.TestEngine.VOCAB;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.scheduler.Mark;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What the engine reuses of earlier requests, and what it does not.
@Timeout(60)
class ReuseEngineTest {

    private static final EngineLimits LIMITS = new EngineLimits(4, 512, 16, 100_000, 8000);
    private static final Partition MINE = new Partition(1, 1);

    private final FakeBackend backend = new FakeBackend(VOCAB, FrameShape.holding(8, 64, 4)).poisonedBy(VOCAB - 1);

    private static GenerationRequest request(int promptTokens, int choices, Partition partition) {
        int[] prompt = new Random(promptTokens).ints(promptTokens, 0, VOCAB - 1).toArray();
        return new GenerationRequest("r", prompt, 5, 0, Set.of(), choices, -1, SamplingParams.greedy())
                .withPrefixes(partition, List.of(new Mark(promptTokens, CheckpointPoint.TURN_START)), true);
    }

    /// A prompt goes on below its last token, on the grid.
    @ParameterizedTest
    @CsvSource({"127, 0", "128, 0", "129, 128", "255, 128", "256, 128", "257, 256", "700, 640"})
    void aPromptThatComesAgainIsNotComputedAgain(int promptTokens, int reused) throws InterruptedException {
        try (Engine engine = Engine.start(backend, LIMITS, EngineObserver.NONE)) {
            Outcome cold = Outcome.of(engine, request(promptTokens, 1, MINE));
            long before = backend.computedTokens();
            Outcome warm = Outcome.of(engine, request(promptTokens, 1, MINE));
            assertThat(cold.reusedTokens(0)).isZero();
            assertThat(warm.reusedTokens(0)).isEqualTo(reused);
            assertThat(backend.computedTokens() - before).as("computed").isEqualTo(promptTokens - reused + 4);
            assertThat(warm.tokens(0)).isEqualTo(cold.tokens(0));
        }
    }

    @Test
    void nobodyElseGoesOnFromIt() throws InterruptedException {
        try (Engine engine = Engine.start(backend, LIMITS, EngineObserver.NONE)) {
            Outcome.of(engine, request(400, 1, MINE));
            assertThat(Outcome.of(engine, request(400, 1, new Partition(1, 2))).reusedTokens(0)).isZero();
        }
    }

    @Test
    void theFirstOfSeveralChoicesComputesThePromptForAll() throws InterruptedException {
        try (Engine engine = Engine.start(backend, LIMITS, EngineObserver.NONE)) {
            Outcome outcome = Outcome.of(engine, request(400, 3, MINE));
            assertThat(List.of(outcome.reusedTokens(0), outcome.reusedTokens(1), outcome.reusedTokens(2))).containsExactly(0, 384, 384);
            assertThat(backend.computedTokens()).isEqualTo(400 + 2 * 16 + 3 * 4);
        }
    }

    @Test
    void nothingOfARequestThatWentWrongIsUsedAgain() throws InterruptedException {
        try (Engine engine = Engine.start(backend, LIMITS, EngineObserver.NONE)) {
            GenerationRequest good = request(400, 1, MINE);
            int[] poisoned = good.prompt().clone();
            poisoned[399] = VOCAB - 1;
            var bad = new GenerationRequest("bad", poisoned, 5, 0, Set.of(), 1, -1, SamplingParams.greedy())
                    .withPrefixes(MINE, good.marks(), false);
            assertThat(Outcome.of(engine, bad).failure()).isEqualTo(EngineException.Kind.NUMERIC);
            assertThat(Outcome.of(engine, good).reusedTokens(0)).as("its first 384 tokens are the same").isZero();
        }
    }
}
