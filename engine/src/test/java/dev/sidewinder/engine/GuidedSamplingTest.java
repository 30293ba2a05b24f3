package dev.sidewinder.engine;

import static dev.sidewinder.engine.TestEngine.CACHE;
import static dev.sidewinder.engine.TestEngine.all;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.model.grammar.TokenMask;
import dev.sidewinder.scheduler.Scheduler;
import dev.sidewinder.scheduler.SchedulerLimits;
import dev.sidewinder.scheduler.Sequence;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Sampling under a guide: what it bans never comes, whatever else a request asks for.
@Timeout(60)
class GuidedSamplingTest {

    private final TestEngine test = new TestEngine();

    @AfterEach
    void close() {
        test.close();
    }

    /// Says what it is given, and remembers what it was told.
    private static final class ListGuide implements TokenGuide {
        private final List<TokenMask> masks;
        private final List<Integer> told = new ArrayList<>();
        private final int completeAfter;

        ListGuide(int completeAfter, TokenMask... masks) {
            this.completeAfter = completeAfter;
            this.masks = List.of(masks);
        }

        @Override
        public TokenMask allowed() {
            return masks.get(told.size());
        }

        @Override
        public void accept(int token) {
            told.add(token);
        }

        @Override
        public boolean isComplete() {
            return told.size() == completeAfter;
        }
    }

    private static TokenMask masking(int vocab, Integer... allowed) {
        Set<Integer> banned = new HashSet<>();
        for (int token = 0; token < vocab; token++) {
            banned.add(token);
        }
        banned.removeAll(Arrays.asList(allowed));
        return TokenMask.allBut(vocab, banned);
    }

    private static GenerationRequest request(SamplingParams params, int maxTokens, int minTokens, Set<Integer> stops, int choices,
            Supplier<TokenGuide> guides) {
        return new GenerationRequest("r", new int[] {0, 0}, maxTokens, minTokens, stops, choices, -1, params, Optional.of(guides));
    }

    private static SamplingParams params(double temperature, Map<Integer, Float> bias, List<Integer> allowed, List<int[]> badWords,
            int logprobs) {
        return new SamplingParams(temperature, 0, 1, 0, 1, 0, 0, bias, allowed, badWords, 7, logprobs);
    }

    private static Sample sample(float[] row, GenerationRequest request) {
        var scheduler = new Scheduler<String>(new SchedulerLimits(1, 256, 1000), FrameCache.plain(FrameShape.holding(1, 4, 1)));
        var sequence = new Sequence<>(1, request.prompt(), 100, false, "test");
        scheduler.submit(sequence);
        return new Sampler(row.length).sample(row, 0, new SamplingState(request, 0, row.length), sequence);
    }

    private static Sample sample(float[] row, TokenMask mask, SamplingParams params, int minTokens, Integer... stops) {
        return sample(row, request(params, 100, minTokens, Set.of(stops), 1, () -> new ListGuide(-1, mask)));
    }

    private static final float[] ROW = {5, 4, 3, 2, 1, 0};
    private static final SamplingParams GREEDY = params(0, Map.of(), List.of(), List.of(), -1);

    // ---- one token

    @Test
    void takesTheBestOfWhatIsAllowed() {
        assertThat(sample(ROW, masking(6, 2, 4), GREEDY, 0)).isEqualTo(new Sample.Chosen(2, null));
        assertThat(sample(ROW, TokenMask.ALL, GREEDY, 0)).isEqualTo(new Sample.Chosen(0, null));
        assertThat(sample(ROW, TokenMask.only(5), GREEDY, 0)).isEqualTo(new Sample.Chosen(5, null));
        assertThat(ROW).as("the model's row is not touched").containsExactly(5, 4, 3, 2, 1, 0);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 63, 64, 65, 128, 129, 1000})
    void drawsOnlyWhatIsAllowedInVocabulariesOfAnySize(int vocab) {
        Random random = new Random(vocab);
        for (int trial = 0; trial < 200; trial++) {
            Integer[] allowed = random.ints(1 + random.nextInt(5), 0, vocab).boxed().toArray(Integer[]::new);
            float[] row = new float[vocab];
            for (int i = 0; i < vocab; i++) {
                row[i] = (float) random.nextGaussian();
            }
            var params = new SamplingParams(random.nextInt(2) * 1.5, random.nextInt(4), 0.3 + 0.7 * random.nextDouble(), 0, 1.3, 0.5,
                    0.2, Map.of(), List.of(), List.of(), random.nextLong(), -1);
            assertThat(sample(row, masking(vocab, allowed), params, 0)).isInstanceOfSatisfying(Sample.Chosen.class,
                    chosen -> assertThat(allowed).contains(chosen.token()));
        }
    }

    @Test
    void theMaskWinsOverBias() {
        // a bias can prefer within the mask, not lift what it bans
        assertThat(sample(ROW, masking(6, 2, 4), params(0, Map.of(0, 100f, 4, 50f), List.of(), List.of(), -1), 0))
                .isEqualTo(new Sample.Chosen(4, null));
        // banned by the bias as long as the mask leaves something else, and only so long
        assertThat(sample(ROW, masking(6, 2, 4), params(0, Map.of(2, -100f), List.of(), List.of(), -1), 0))
                .isEqualTo(new Sample.Chosen(4, null));
        assertThat(sample(ROW, TokenMask.only(3), params(0, Map.of(3, -100f), List.of(), List.of(), -1), 0))
                .isEqualTo(new Sample.Chosen(3, null));
    }

    @Test
    void theMaskWinsOverBadWordsAndMinTokens() {
        assertThat(sample(ROW, TokenMask.only(3), params(0, Map.of(), List.of(), List.of(new int[] {3}), -1), 0))
                .isEqualTo(new Sample.Chosen(3, null));
        assertThat(sample(ROW, TokenMask.only(3), GREEDY, 10, 3)).as("a stop token before min_tokens").isEqualTo(new Sample.Chosen(3, null));
        assertThat(sample(ROW, masking(6, 3, 5), GREEDY, 10, 3)).isEqualTo(new Sample.Chosen(5, null));
    }

    @Test
    void twoMasksThatLeaveNothingAreADeadEnd() {
        assertThat(sample(ROW, TokenMask.of(new long[0]), GREEDY, 0)).isEqualTo(Sample.NOTHING_ALLOWED);
        assertThat(sample(ROW, masking(6, 2, 4), params(0, Map.of(), List.of(1, 3), List.of(), -1), 0)).isEqualTo(Sample.NOTHING_ALLOWED);
        assertThat(sample(ROW, masking(6, 2, 4), params(0, Map.of(), List.of(1, 4), List.of(), -1), 0)).isEqualTo(new Sample.Chosen(4, null));
    }

    @Test
    void reportsLogProbabilitiesAsTheModelGaveThem() {
        Sample.Chosen chosen = (Sample.Chosen) sample(ROW, TokenMask.only(4), params(1, Map.of(), List.of(), List.of(), 2), 0);
        assertThat(chosen.logprobs()).usingRecursiveComparison().isEqualTo(new LogProbabilities(6).of(ROW, 0, 4, 2));
        assertThat(chosen.logprobs().topTokens()).as("banned ones too").containsExactly(0, 1);
    }

    @Test
    void drawsTheRandomNumberThatItWouldHaveDrawn() {
        // given a mask that takes out only what sampling would not have taken
        SamplingParams drawn = params(1, Map.of(), List.of(), List.of(), -1);
        Sample free = sample(ROW, TokenMask.ALL, drawn, 0);
        assertThat(free).isEqualTo(sample(ROW, masking(6, 0, 1, 2, 3, 4, 5), drawn, 0));
    }

    // ---- the loop

    @Test
    void aCompleteFormEndsTheChoice() throws InterruptedException {
        test.start(new FakeBackend(100, CACHE));
        var guide = new ListGuide(3, TokenMask.ALL, TokenMask.only(9), TokenMask.ALL, TokenMask.ALL);
        List<GenerationEvent> events = all(test.submit(request(GREEDY, 50, 20, Set.of(), 1, () -> guide)));

        assertThat(events).hasSize(4).last().isEqualTo(new GenerationEvent.Finished(0, FinishReason.STOP));
        assertThat(((GenerationEvent.Token) events.get(1)).token()).isEqualTo(9);
        assertThat(((GenerationEvent.Token) events.get(2)).stop()).as("no stop token").isFalse();
        assertThat(guide.told).as("what came").hasSize(3).isEqualTo(events.subList(0, 3).stream().map(event -> ((GenerationEvent.Token) event).token()).toList());
        test.awaitRest();
    }

    @Test
    void aFormThatIsCompleteWithTheLastTokenIsNotCut() throws InterruptedException {
        test.start(new FakeBackend(100, CACHE));
        assertThat(all(test.submit(request(GREEDY, 2, 0, Set.of(), 1, () -> new ListGuide(2, TokenMask.ALL, TokenMask.ALL)))))
                .last().isEqualTo(new GenerationEvent.Finished(0, FinishReason.STOP));
        assertThat(all(test.submit(request(GREEDY, 2, 0, Set.of(), 1, () -> new ListGuide(3, TokenMask.ALL, TokenMask.ALL)))))
                .last().isEqualTo(new GenerationEvent.Finished(0, FinishReason.LENGTH));
    }

    @Test
    void aDeadEndEndsItsChoiceOnlyAndIsCounted() throws InterruptedException {
        var deadEnds = new AtomicInteger();
        var made = new AtomicInteger();
        var backend = new FakeBackend(100, CACHE);
        try (Engine engine = Engine.start(backend, new EngineLimits(4, 512, 16, 100_000, 8000), new EngineObserver() {
            @Override
            public void deadEnd() {
                deadEnds.incrementAndGet();
            }
        })) {
            // given two choices, of which the first has no way out behind its second token
            GenerationRequest request = request(GREEDY, 6, 0, Set.of(), 2, () -> made.getAndIncrement() == 0
                    ? new ListGuide(-1, TokenMask.ALL, TokenMask.ALL, TokenMask.of(new long[0]))
                    : new ListGuide(-1, TokenMask.only(5), TokenMask.only(6), TokenMask.ALL, TokenMask.ALL, TokenMask.ALL, TokenMask.ALL));
            Outcome outcome = new Outcome(2);
            try (Engine.Place place = engine.reserve(2, 2)) {
                Generation generation = place.submit(request);
                while (!outcome.isComplete()) {
                    outcome.add(generation.next(java.time.Duration.ofSeconds(20)));
                }
            }
            assertThat(outcome.reason(0)).isEqualTo(FinishReason.STOP);
            assertThat(outcome.tokens(0)).hasSize(2);
            assertThat(outcome.reason(1)).isEqualTo(FinishReason.LENGTH);
            assertThat(outcome.tokens(1)).hasSize(6).startsWith("5 -", "6 -");
            assertThat(deadEnds).hasValue(1);
        }
    }
}
