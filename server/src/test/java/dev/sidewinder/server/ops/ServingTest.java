package dev.sidewinder.server.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.EngineLimits;
import dev.sidewinder.engine.EngineObserver;
import dev.sidewinder.engine.Generation;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.engine.SamplingParams;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.server.api.ApiException;
import dev.sidewinder.server.metrics.ServerMetrics;
import dev.sidewinder.server.metrics.ServerMetrics.State;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ServingTest {

    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private final Serving serving = new Serving(new ServerMetrics(), new BuildInfo());

    @Test
    void refusesRequestsUntilTheModelIsLoaded() {
        assertThat(serving.state()).isEqualTo(State.STARTING);
        assertThatThrownBy(serving::model).isInstanceOfSatisfying(ApiException.class,
                refusal -> assertThat(refusal.error().code()).isEqualTo("model_loading"));
    }

    @Test
    void isReadyWithAModelAndNotWhileDraining() {
        try (Engine engine = start(new BrokenBackend(Float.NaN))) {
            serving.ready(running(engine));
            assertThat(serving.isReady()).isTrue();

            serving.drain();

            assertThat(serving.isReady()).isFalse();
            assertThat(serving.isStarted()).isTrue();
            assertThat(serving.state()).isEqualTo(State.DRAINING);
        }
    }

    @Test
    void failsWithTheEngine() throws InterruptedException {
        try (Engine engine = start(new BrokenBackend(0))) {
            serving.ready(running(engine));

            // when the backend breaks under a request
            GenerationEvent event;
            try (Engine.Place place = engine.reserve(1, 1); Generation generation = place.submit(request())) {
                event = generation.next(PATIENCE);
            }

            // then the request fails and the state says so
            assertThat(event).isInstanceOf(GenerationEvent.Failed.class);
            long deadline = System.nanoTime() + PATIENCE.toNanos();
            while (!serving.hasFailed() && System.nanoTime() < deadline) {
                Thread.sleep(5);
            }
            assertThat(serving.state()).isEqualTo(State.FAILED);
            assertThat(serving.isReady()).isFalse();
            assertThatThrownBy(serving::model).isInstanceOfSatisfying(ApiException.class,
                    refusal -> assertThat(refusal.error().code()).isEqualTo("engine_failed"));
        }
    }

    @Test
    void failsTheSelfTestOfAModelThatComputesNaN() {
        try (Engine engine = start(new BrokenBackend(Float.NaN))) {
            assertThatThrownBy(() -> new SelfTest(engine, BrokenBackend.VOCABULARY, 1000, Optional.empty()).run())
                    .isInstanceOfSatisfying(StartException.class,
                            failure -> assertThat(failure.exitCode()).isEqualTo(ServeApplication.SELF_TEST_FAILED));
        }
    }

    private static Engine start(Backend backend) {
        return Engine.start(backend, new EngineLimits(2, 256, 8, 10_000, 1000), EngineObserver.NONE);
    }

    private static GenerationRequest request() {
        return new GenerationRequest("r", new int[] {1}, 3, 0, Set.of(), 1, -1, SamplingParams.greedy());
    }

    /// Only the engine matters here.
    private static RunningModel running(Engine engine) {
        return new RunningModel(null, null, engine, null, null, null, Optional.empty(), Optional.empty(), null, 0, "broken", null);
    }

    /// Fails in every step, or computes NaN.
    private record BrokenBackend(float value) implements Backend {

        static final int VOCABULARY = 10;

        @Override
        public BackendMemory memory() {
            return new BackendMemory(FrameShape.holding(2, 16, 4), HostShape.NONE);
        }

        @Override
        public int vocabSize() {
            return VOCABULARY;
        }

        @Override
        public Logits forward(Batch batch) {
            if (!Float.isNaN(value)) {
                throw new IllegalStateException("broken on purpose");
            }
            float[] rows = new float[batch.logitRows() * VOCABULARY];
            java.util.Arrays.fill(rows, value);
            return new Logits(rows, batch.logitRows(), VOCABULARY);
        }

        @Override
        public String description() {
            return "broken";
        }

        @Override
        public void close() {}
    }
}
