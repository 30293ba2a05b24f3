package dev.sidewinder.engine;

import static dev.sidewinder.engine.TestEngine.VOCAB;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.EngineException.Kind;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.scheduler.Mark;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// A piece of a prompt that leaves NaN or infinity behind, of which no logits are wanted or whose logits are numbers all the same.
@Timeout(60)
class SpoiledPieceTest {

    private static final int BAD = VOCAB - 1;
    private static final int PIECE = 256;
    private static final EngineLimits LIMITS = new EngineLimits(4, PIECE, 16, 100_000, 8000);
    private static final Partition MINE = new Partition(1, 1);

    private final FakeBackend fake = spoiling();
    private final List<Sample.NotFinite.Where> seen = new CopyOnWriteArrayList<>();

    private final EngineObserver observer = new EngineObserver() {
        @Override
        public void numericFailure(Sample.NotFinite.Where where) {
            seen.add(where);
        }
    };

    private static FakeBackend spoiling() {
        return new FakeBackend(VOCAB, FrameShape.holding(8, 64, 4)).spoiledBy(BAD);
    }

    private static GenerationRequest request(int[] prompt, int choices, int... marks) {
        List<Mark> places = new ArrayList<>();
        for (int mark : marks) {
            places.add(new Mark(mark, CheckpointPoint.TURN_START));
        }
        return new GenerationRequest("r", prompt, 5, 0, Set.of(), choices, -1, SamplingParams.greedy()).withPrefixes(MINE, places, true);
    }

    private static int[] prompt(int tokens) {
        return new Random(tokens).ints(tokens, 0, BAD).toArray();
    }

    private static int[] promptWithBadToken(int tokens, int at) {
        int[] prompt = prompt(tokens);
        prompt[at] = BAD;
        return prompt;
    }

    /// In the first, in a middle and in the last piece, at both ends of it, alone and with a step always under way.
    @ParameterizedTest
    @CsvSource({"0", "1", "255", "256", "511", "512", "639", "640", "698", "699"})
    void failsTheRequestInTheStepOfThePiece(int at) throws InterruptedException {
        for (int ahead = 0; ahead < 2; ahead++) {
            FakeBackend backend = spoiling();
            seen.clear();
            try (Engine engine = Engine.start(ahead == 0 ? backend : new AheadBackend(backend, at, 0), LIMITS, observer)) {
                Outcome outcome = Outcome.of(engine, request(promptWithBadToken(700, at), 1));

                assertThat(outcome.failure()).isEqualTo(Kind.NUMERIC);
                assertThat(outcome.tokens(0)).isEmpty();
            }
            assertThat(seen).containsExactly(Sample.NotFinite.Where.HIDDEN);
            assertThat(backend.computedTokens()).as("nothing is computed behind, but for a step under way")
                    .isLessThanOrEqualTo((long) (at / PIECE + 1 + ahead) * PIECE);
        }
    }

    @Test
    void keepsNoStateOfTheStepAndLeavesOthersAlone() throws InterruptedException {
        try (Engine engine = Engine.start(fake, LIMITS, observer)) {
            int[] neighbour = prompt(333);
            Outcome alone = Outcome.of(engine, request(neighbour, 1));
            // given a prompt that goes bad behind a mark, in the same piece as the mark
            assertThat(Outcome.of(engine, request(promptWithBadToken(700, 400), 1, 384)).failure()).isEqualTo(Kind.NUMERIC);

            // then a prompt with the same beginning goes on from nothing, and all is well with it and others
            Outcome good = Outcome.of(engine, request(prompt(700), 1, 384));
            assertThat(good.failure()).isNull();
            assertThat(good.reusedTokens(0)).isZero();
            assertThat(Outcome.of(engine, request(neighbour, 1)).tokens(0)).isEqualTo(alone.tokens(0));
            assertThat(Outcome.of(engine, request(prompt(700), 1, 384)).reusedTokens(0)).as("what was kept since is used").isPositive();
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 4})
    void failsEveryChoiceThatWaitedForThePrompt(int choices) throws InterruptedException {
        try (Engine engine = Engine.start(new AheadBackend(fake, 5, 0), LIMITS, observer)) {
            assertThat(Outcome.of(engine, request(promptWithBadToken(700, 300), choices)).failure()).isEqualTo(Kind.NUMERIC);
            Outcome good = Outcome.of(engine, request(prompt(700), choices));
            assertThat(good.failure()).isNull();
            assertThat(good.tokens(choices - 1)).isEqualTo(good.tokens(0));
        }
    }

    @Test
    void failsAPromptWhoseLogitsAreWantedAndWhoseAnswerIsEmpty() throws InterruptedException {
        try (Engine engine = Engine.start(fake, LIMITS, observer)) {
            var scored = new GenerationRequest("scored", promptWithBadToken(300, 140), 0, 0, Set.of(), 1, 2, SamplingParams.greedy());
            assertThat(Outcome.of(engine, scored).failure()).isEqualTo(Kind.NUMERIC);
        }
    }

    /// A generated token is looked at through its logits: the fake's are all right.
    @Test
    void saysNothingOfGeneratedTokens() throws InterruptedException {
        try (Engine engine = Engine.start(fake, LIMITS, observer)) {
            var forced = new SamplingParams(0, 0, 1, 0, 1, 0, 0, Map.of(), List.of(BAD), List.of(), 0, -1);
            var request = new GenerationRequest("r", prompt(10), 5, 0, Set.of(), 1, -1, forced);
            Outcome outcome = Outcome.of(engine, request);
            assertThat(outcome.failure()).isNull();
            assertThat(outcome.tokens(0)).hasSize(5);
        }
    }
}
