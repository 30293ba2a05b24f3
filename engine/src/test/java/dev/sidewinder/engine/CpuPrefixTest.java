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
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The engine on the CPU backend: an answer has the same tokens and log-probabilities, bit for bit, whether its prompt was computed
/// or found, whole or in pieces, alone or under load; greedy and seeded, with penalties and bans that look back over the edge.
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

    private Answer alone(int[] prompt, Sampling sampling) {
        try (Engine engine = engine(512, 4)) {
            return read(submit(engine, request(prompt, sampling)));
        }
    }

    @ParameterizedTest
    @EnumSource(Sampling.class)
    void cachedIsColdAroundTheEdgesOfBlocks(Sampling sampling) {
        try (Engine cold = engine(512, 4); Engine cached = engine(512, 12)) {
            for (int length : new int[] {1, 127, 128, 129, 130, 255, 256, 257, 384, 385}) {
                int[] prompt = Arrays.copyOf(text, length);
                prompt[0] = length;
                Answer expected = read(submit(cold, request(prompt, sampling)));

                Answer first = read(submit(cached, withPrefixes(request(prompt, sampling))));
                Answer second = read(submit(cached, withPrefixes(request(prompt, sampling))));

                assertThat(first.reusedTokens()).isZero();
                assertThat(second.reusedTokens()).as("reused of %d", length).isEqualTo((length - 1) / 128 * 128);
                assertThat(first.events()).as("first of %d", length).isEqualTo(expected.events());
                assertThat(second.events()).as("second of %d", length).isEqualTo(expected.events());
            }
        }
    }

    /// Each turn has the whole conversation as its prompt, as a client sends it.
    @ParameterizedTest
    @EnumSource(Sampling.class)
    void aConversationThatGoesOnFromItselfIsTheOneThatIsComputedAnew(Sampling sampling) {
        try (Engine cold = engine(512, 4); Engine cached = engine(256, 12)) {
            int[] conversation = Arrays.copyOf(text, 200);
            int reused = 0;
            for (int turn = 0; turn < 6; turn++) {
                Answer expected = read(submit(cold, request(conversation, sampling)));
                Answer answer = read(submit(cached, withPrefixes(request(conversation, sampling))));
                assertThat(answer.events()).as("turn %d", turn).isEqualTo(expected.events());
                reused += answer.reusedTokens();
                int length = conversation.length;
                conversation = Arrays.copyOf(conversation, length + ANSWER + 40);
                for (int i = 0; i < ANSWER; i++) {
                    conversation[length + i] = answer.tokens().get(i);
                }
                System.arraycopy(text, 300 + 40 * turn, conversation, length + ANSWER, 40);
            }
            assertThat(reused).as("tokens that were found").isGreaterThan(500);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {136, 256, 384, 512})
    void wholeIsPiecesUnderLoadAndInATightPool(int batchTokens) {
        // given prompts with a common beginning, that fork at and around edges
        int[][] prompts = new int[8][];
        Answer[] expected = new Answer[prompts.length];
        for (int i = 0; i < prompts.length; i++) {
            int shared = new int[] {127, 128, 129, 200, 255, 256, 257, 300}[i];
            prompts[i] = Arrays.copyOf(text, 330 + i);
            System.arraycopy(text, 340 + 20 * i, prompts[i], shared, prompts[i].length - shared);
            expected[i] = alone(prompts[i], i % 2 == 0 ? Sampling.GREEDY : Sampling.SEEDED);
        }

        // when they come together, three times, to an engine that has room for some of them
        try (Engine engine = engine(batchTokens, 5)) {
            for (int round = 0; round < 3; round++) {
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

    /// As a call of a tool is held to its schema, and an answer ends at its stop token, wherever the prompt came from.
    @ParameterizedTest
    @ValueSource(ints = {127, 128, 129, 257})
    void aFormThatHoldsAnAnswerHoldsItBehindAFoundPrompt(int length) {
        try (Engine cold = engine(512, 4); Engine cached = engine(512, 12)) {
            int ended = 0;
            for (int kind = 0; kind < 12; kind++) {
                int form = kind;
                int[] prompt = Arrays.copyOf(text, length);
                prompt[0] = kind;
                var request = new GenerationRequest("test", prompt, ANSWER, 3, Set.of(9, 20, 31, 42, 53, 60), 1, -1,
                        Sampling.values()[kind % 2].params(),
                        Optional.of(() -> new PatternGuide(model.config().vocabSize(), form)));
                Answer expected = read(submit(cold, request));
                read(submit(cached, withPrefixes(request)));
                Answer again = read(submit(cached, withPrefixes(request)));
                assertThat(again.events()).as("form %d behind %d", kind, length).isEqualTo(expected.events());
                assertThat(again.reusedTokens()).isEqualTo((length - 1) / 128 * 128);
                ended += again.events().size() < ANSWER ? 1 : 0;
            }
            assertThat(ended).as("answers that their form or a stop token ended").isPositive();
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
