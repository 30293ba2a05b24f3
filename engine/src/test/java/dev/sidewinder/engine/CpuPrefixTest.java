package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.cpu.Arithmetic;
import dev.sidewinder.engine.cpu.CpuBackend;
import dev.sidewinder.engine.cpu.CpuCacheLayout;
import dev.sidewinder.engine.cpu.CpuOptions;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.Mark;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Prompts with a common beginning on the CPU backend: answers have the tokens and log-probabilities, bit for bit, that they have
/// alone, wherever prompts part and whatever is kept of them. What happens to one prompt is [SameAnswers]'s.
@Timeout(600)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class CpuPrefixTest {

    private static final int ANSWER = 14;
    private static final Duration PATIENCE = Duration.ofSeconds(120);

    enum Sampling {
        GREEDY, SEEDED;

        SamplingParams params() {
            return switch (this) {
                case GREEDY -> new SamplingParams(0, 0, 1, 0, 1, 0, 0, Map.of(), List.of(), List.of(), 0, 3);
                case SEEDED -> new SamplingParams(0.9, 50, 0.95, 0.01, 1.2, 0.4, 0.3, Map.of(7, 2f), List.of(),
                        List.of(new int[] {1, 2}, new int[] {5}), 99, 2);
            };
        }
    }

    private Model model;
    private int[] text;

    @BeforeAll
    void open() {
        model = Model.open("synthetic:tiny");
        text = new Random(4).ints(700, 0, model.config().vocabSize()).toArray();
    }

    @AfterAll
    void close() {
        model.close();
    }

    /// @param states frames for so many states, beside blocks for 5,000 tokens
    private Engine engine(int batchTokens, int states) {
        var memory = new BackendMemory(CpuCacheLayout.of(model.config(), Arithmetic.BF16).frames(states, 40), HostShape.NONE);
        return Engine.start(new CpuBackend(model.config(), model.weights(), memory,
                new CpuOptions(Arithmetic.BF16, 2, 512, CpuOptions.Products.VECTOR), LoadProgress.SILENT),
                new EngineLimits(8, batchTokens, 64, 100_000, 4000), EngineObserver.NONE);
    }

    private GenerationRequest request(int[] prompt, Sampling sampling) {
        return new GenerationRequest("test", prompt, ANSWER, 0, Set.of(), 1, -1, sampling.params());
    }

    /// Marked where its conversation could fork, off the grid as chat templates have it.
    private GenerationRequest withPrefixes(GenerationRequest request) {
        List<Mark> marks = new ArrayList<>();
        if (request.prompt().length > 140) {
            marks.add(new Mark(135, CheckpointPoint.SYSTEM));
        }
        marks.add(new Mark(request.prompt().length, CheckpointPoint.TURN_START));
        return request.withPrefixes(new Partition(3, 4), marks, false);
    }

    private record Answer(List<String> events, List<Integer> tokens, int reusedTokens) {}

    private static Generation submit(Engine engine, GenerationRequest request) {
        try (Engine.Place place = engine.reserve(1, request.prompt().length)) {
            return place.submit(request);
        }
    }

    private static Answer read(Generation generation) {
        List<String> events = new ArrayList<>();
        List<Integer> tokens = new ArrayList<>();
        int reused = -1;
        try {
            while (true) {
                switch (generation.next(PATIENCE)) {
                    case GenerationEvent.Admitted admitted -> reused = admitted.reusedTokens();
                    case GenerationEvent.Token token -> {
                        tokens.add(token.token());
                        events.add(token.token() + " " + token.logprobs().logprob() + " " + Arrays.toString(token.logprobs().topTokens())
                                + Arrays.toString(token.logprobs().topLogprobs()));
                    }
                    case GenerationEvent.Finished _ -> {
                        return new Answer(events, tokens, reused);
                    }
                    case GenerationEvent.Failed failed -> throw failed.cause();
                    case GenerationEvent.PromptScored _ -> { }
                    case null -> throw new AssertionError("no event within " + PATIENCE);
                }
            }
        } catch (InterruptedException interrupted) {
            throw new AssertionError(interrupted);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {136, 384})
    void promptsThatForkAroundEdgesAreThemselvesInATightPool(int batchTokens) {
        // given prompts with a common beginning, that fork at and around edges
        int[][] prompts = new int[8][];
        Answer[] expected = new Answer[prompts.length];
        try (Engine alone = engine(512, 4)) {
            for (int i = 0; i < prompts.length; i++) {
                int shared = new int[] {127, 128, 129, 200, 255, 256, 257, 300}[i];
                prompts[i] = Arrays.copyOf(text, 330 + i);
                System.arraycopy(text, 340 + 20 * i, prompts[i], shared, prompts[i].length - shared);
                expected[i] = read(submit(alone, request(prompts[i], i % 2 == 0 ? Sampling.GREEDY : Sampling.SEEDED)));
            }
        }

        // when they come together, twice, to an engine that has room for some of them
        try (Engine engine = engine(batchTokens, 5)) {
            for (int round = 0; round < 2; round++) {
                List<Generation> generations = new ArrayList<>();
                for (int i = 0; i < prompts.length; i++) {
                    generations.add(submit(engine, withPrefixes(request(prompts[i], i % 2 == 0 ? Sampling.GREEDY : Sampling.SEEDED))));
                }
                for (int i = 0; i < prompts.length; i++) {
                    Answer answer = read(generations.get(i));
                    assertThat(answer.events()).as("prompt %d, round %d, %d reused", i, round, answer.reusedTokens())
                            .isEqualTo(expected[i].events());
                }
            }
        }
    }

    @Test
    void otherPartitionsFindNothing() {
        try (Engine engine = engine(512, 12)) {
            GenerationRequest request = request(Arrays.copyOf(text, 300), Sampling.GREEDY);
            read(submit(engine, withPrefixes(request)));
            assertThat(read(submit(engine, withPrefixes(request))).reusedTokens()).isEqualTo(256);
            assertThat(read(submit(engine, withPrefixes(request).withPrefixes(new Partition(3, 5), List.of(), false))).reusedTokens()).isZero();
            assertThat(read(submit(engine, request)).reusedTokens()).isZero();
        }
    }
}
