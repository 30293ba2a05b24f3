package dev.sidewinder.engine.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.cuda.kernel.SampleRows;
import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.EngineLimits;
import dev.sidewinder.engine.EngineObserver;
import dev.sidewinder.engine.Generation;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.engine.LaunchedStep;
import dev.sidewinder.engine.Outcome;
import dev.sidewinder.engine.PatternGuide;
import dev.sidewinder.engine.RowSampler;
import dev.sidewinder.engine.Sample;
import dev.sidewinder.engine.SamplingParams;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.TokenSource;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Tokens and log-probabilities, bit for bit, wherever they are chosen: on the host and alone, or on the device among others,
/// with and without steps launched ahead.
@Timeout(900)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class CudaSamplingTest {

    private static final CacheShape SHAPE = new CacheShape(16, 6);
    private static final EngineLimits LIMITS = new EngineLimits(6, 256, 32, 10_000, 400);
    private static final int TOKENS = 12;

    private Model model;
    private List<Outcome> onTheHost;

    @BeforeAll
    void runEachAloneOnTheHost() throws InterruptedException {
        model = Model.open(EmulatedBackend.SMALLEST);
        onTheHost = new ArrayList<>();
        for (GenerationRequest request : requests()) {
            onTheHost.addAll(run(Sampling.HOST, List.of(request), UnaryOperator.identity()));
        }
    }

    @AfterAll
    void close() {
        model.close();
    }

    /// One of each way of choosing.
    private static List<GenerationRequest> requests() {
        int[] prompt = {3, 1, 4, 1, 5, 9, 2, 6};
        List<GenerationRequest> requests = new ArrayList<>();
        requests.add(request("greedy", prompt, 0, Set.of(), -1, params(0, 0, 1, 0, -1)));
        requests.add(request("greedy with log-probabilities", new int[130], 0, Set.of(), -1, params(0, 0, 1, 0, 20)));
        requests.add(request("temperature", prompt, 0, Set.of(), -1, params(1.3, 0, 1, 0, 3)));
        requests.add(request("top-k, top-p, min-p", prompt, 0, Set.of(), -1, params(0.9, 20, 0.8, 0.02, 0)));
        requests.add(request("more alternatives than a device reports", prompt, 0, Set.of(), -1, params(0.7, 0, 1, 0, 21)));
        requests.add(request("penalties", prompt, 5, Set.of(1, 2, 3, 4, 5, 6, 7), -1,
                new SamplingParams(1.1, 0, 0.95, 0, 1.3, 0.4, -0.3, Map.of(7, 3f, 8, -100f), List.of(), List.of(), 17, 2)));
        requests.add(request("bad words and allowed tokens", prompt, 0, Set.of(), -1,
                new SamplingParams(1.5, 0, 1, 0, 1, 0, 0, Map.of(), List.of(1, 2, 3, 4, 5), List.of(new int[] {1}, new int[] {2, 3}, new int[] {3, 3, 4}), 5, 4)));
        for (int kind = 0; kind < 3; kind++) {
            int guide = kind;
            requests.add(new GenerationRequest("guided " + kind, prompt, TOKENS, 0, Set.of(), 1, -1, params(0.8, 0, 1, 0, 1),
                    Optional.of(() -> new PatternGuide(64, guide))));
        }
        requests.add(request("scored prompt", prompt, 0, Set.of(), 4, params(0, 0, 1, 0, -1)));
        requests.add(request("prompt scored with more than a device reports", prompt, 0, Set.of(), 30, params(0.5, 0, 1, 0, -1)));
        requests.add(new GenerationRequest("scored only", prompt, 0, 0, Set.of(), 1, 2, params(0, 0, 1, 0, -1)));
        requests.add(new GenerationRequest("choices", prompt, TOKENS, 0, Set.of(), 3, 1, params(1.2, 0, 1, 0, 2)));
        return requests;
    }

    private static GenerationRequest request(String id, int[] prompt, int minTokens, Set<Integer> stops, int promptLogprobs, SamplingParams params) {
        return new GenerationRequest(id, prompt, TOKENS, minTokens, stops, 1, promptLogprobs, params);
    }

    private static SamplingParams params(double temperature, int topK, double topP, double minP, int logprobs) {
        return new SamplingParams(temperature, topK, topP, minP, 1, 0, 0, Map.of(), List.of(), List.of(), 99, logprobs);
    }

    private List<Outcome> run(Sampling sampling, List<GenerationRequest> requests, UnaryOperator<Backend> watch)
            throws InterruptedException {
        CudaOptions options = EmulatedBackend.options(256, SHAPE).with(sampling);
        Backend backend = watch.apply(EmulatedBackend.open(model, CudaBackend.memory(model.config(), KvFormat.BF16, SHAPE.slots(), SHAPE.blocks()), options,
                EmulatorSettings.withSeed(7).lazily()));
        List<Outcome> outcomes = new ArrayList<>();
        try (Engine engine = Engine.start(backend, LIMITS, EngineObserver.NONE)) {
            List<Generation> generations = new ArrayList<>();
            for (GenerationRequest request : requests) {
                try (Engine.Place place = engine.reserve(request.choices(), request.prompt().length)) {
                    generations.add(place.submit(request));
                }
            }
            for (int i = 0; i < requests.size(); i++) {
                var outcome = new Outcome(requests.get(i).choices());
                while (!outcome.isComplete()) {
                    GenerationEvent event = generations.get(i).next(Duration.ofSeconds(120));
                    assertThat(event).as("an event of %s", requests.get(i).id()).isNotNull();
                    outcome.add(event);
                }
                outcomes.add(outcome);
            }
        }
        assertThat(Emulator.liveAllocations()).isZero();
        return outcomes;
    }

    @ParameterizedTest
    @EnumSource(Sampling.class)
    void isTheSameAmongOthersAsAloneOnTheHost(Sampling sampling) throws InterruptedException {
        List<Outcome> outcomes = run(sampling, requests(), UnaryOperator.identity());
        for (int i = 0; i < outcomes.size(); i++) {
            assertThat(outcomes.get(i).differenceFromSolo(onTheHost.get(i))).as(requests().get(i).id()).isEmpty();
        }
    }

    @ParameterizedTest
    @EnumSource(Sampling.class)
    void launchesStepsAheadAndSendsNoLogitsToTheHostWhereItNeedNot(Sampling sampling) throws InterruptedException {
        // given requests that a device can serve by itself, a guided one among them, which run together from their first step on
        List<GenerationRequest> able = requests().stream().filter(request -> request.sampling().logprobs() <= 20 && request.promptLogprobs() <= 20
                && request.choices() == 1).limit(6).toList();
        var watcher = new Watcher[1];
        run(sampling, able, backend -> watcher[0] = new Watcher(backend));

        assertThat(watcher[0].hostRows).as("rows that the host chose from").isEqualTo(sampling == Sampling.HOST ? watcher[0].rows : 0);
        if (sampling == Sampling.AHEAD) {
            assertThat(watcher[0].unread).as("tokens run before they were read").isGreaterThan(able.size() * (TOKENS - 3));
        } else {
            assertThat(watcher[0].unread).isZero();
        }
    }

    /// Counts what passes.
    private static final class Watcher implements Backend {

        private final Backend backend;
        private int rows;
        private int hostRows;
        private int unread;

        Watcher(Backend backend) {
            this.backend = backend;
        }

        @Override
        public LaunchedStep launch(Batch batch) {
            rows += batch.logitRows();
            unread += (int) batch.entries().stream().filter(entry -> entry.source() == TokenSource.UNREAD).count();
            LaunchedStep step = backend.launch(batch);
            return new LaunchedStep() {
                @Override
                public boolean sample(RowSampler sampler) {
                    return step.sample(new RowSampler() {
                        @Override
                        public boolean describe(int row, SampleRows to, int at) {
                            return sampler.describe(row, to, at);
                        }

                        @Override
                        public Sample sample(int row, float[] values, int offset) {
                            hostRows++;
                            return sampler.sample(row, values, offset);
                        }
                    });
                }

                @Override
                public Sample[] await() {
                    return step.await();
                }

                @Override
                public boolean isFinite(int entry) {
                    return step.isFinite(entry);
                }
            };
        }

        @Override
        public dev.sidewinder.engine.Logits forward(Batch batch) {
            return backend.forward(batch);
        }

        @Override
        public BackendMemory memory() {
            return backend.memory();
        }

        @Override
        public int vocabSize() {
            return backend.vocabSize();
        }

        @Override
        public String description() {
            return backend.description();
        }

        @Override
        public void close() {
            backend.close();
        }
    }

    /// Greedy, without looking at any sequence.
    private static final RowSampler GREEDY = new RowSampler() {
        @Override
        public boolean describe(int row, SampleRows to, int at) {
            to.begin(at);
            return true;
        }

        @Override
        public Sample sample(int row, float[] values, int offset) {
            throw new AssertionError("the device can");
        }
    };

    @Test
    void refusesAStepBehindOneThatHasNotBeenSampled() {
        try (CudaBackend backend = EmulatedBackend.open(model, SHAPE, EmulatedBackend.options(256, SHAPE), 3)) {
            var sequence = TestSequence.at(0, 2, new int[] {1, 2});
            BatchEntry prompt = sequence.next(2, LogitRows.LAST);
            LaunchedStep first = backend.launch(new Batch(1, List.of(prompt)));
            var unread = new BatchEntry(prompt.sequence(), new int[2], 2, 1, TokenSource.UNREAD, LogitRows.LAST, sequence);
            assertThatIllegalStateException().isThrownBy(() -> backend.launch(new Batch(2, List.of(unread)))).withMessageContaining("behind");
            assertThatIllegalStateException().isThrownBy(first::await).withMessageContaining("once each");
            assertThat(first.sample(GREEDY)).isTrue();
            assertThatIllegalStateException().isThrownBy(() -> first.sample(GREEDY));

            // and one that runs a token nobody is about to choose
            var other = TestSequence.at(1, 2, new int[] {1});
            var stranger = new BatchEntry(77, new int[1], 0, 1, TokenSource.UNREAD, LogitRows.LAST, other);
            assertThatIllegalStateException().isThrownBy(() -> backend.launch(new Batch(2, List.of(stranger))))
                    .withMessageContaining("no step under way");
            first.await();
        }
    }
}
