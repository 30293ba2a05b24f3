package dev.sidewinder.engine.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.device.CudaException;
import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.cuda.kernel.LaunchShape;
import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.EngineException;
import dev.sidewinder.engine.EngineLimits;
import dev.sidewinder.engine.EngineObserver;
import dev.sidewinder.engine.EngineStatus;
import dev.sidewinder.engine.Generation;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.engine.LaunchedStep;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.engine.RowSampler;
import dev.sidewinder.engine.Sample;
import dev.sidewinder.engine.SamplingParams;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.Batch;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// A device that fails under a running request.
@Timeout(120)
class CudaFailureTest {

    private static final CacheShape SHAPE = new CacheShape(4, 2);
    private static final int STEPS_BEFORE = 3;

    /// With steps launched ahead the fault comes up while the tokens of the step in front are read, or behind.
    @ParameterizedTest
    @EnumSource(Sampling.class)
    void endsTheEngineAndLetsItBeClosed(Sampling sampling) throws InterruptedException {
        try (Model model = Model.open(EmulatedBackend.SMALLEST)) {
            CudaDevice device = EmulatedBackend.device(EmulatorSettings.withSeed(1).lazily());
            var backend = new Breaking(device, new CudaBackend(device, model.config(), model.weights(),
                    CudaBackend.memory(model.config(), KvFormat.BF16, SHAPE.slots(), SHAPE.blocks()),
                    EmulatedBackend.options(256, SHAPE).with(sampling), LoadProgress.SILENT));
            Engine engine = Engine.start(backend, new EngineLimits(2, 256, 4, 1000, 400), EngineObserver.NONE);

            // when a kernel writes where it may not, between two steps
            int tokens = 0;
            GenerationEvent event;
            try (Engine.Place place = engine.reserve(1, 3); Generation generation = place.submit(request())) {
                do {
                    event = generation.next(Duration.ofSeconds(60));
                    tokens += event instanceof GenerationEvent.Token ? 1 : 0;
                } while (event instanceof GenerationEvent.Token || event instanceof GenerationEvent.Admitted);
            }

            // then the request has what came before and is told, the engine has ended, and closing it works
            assertThat(tokens).isBetween(sampling == Sampling.AHEAD ? STEPS_BEFORE - 1 : STEPS_BEFORE, STEPS_BEFORE);
            assertThat(event).isInstanceOfSatisfying(GenerationEvent.Failed.class,
                    failed -> assertThat(failed.cause().kind()).isEqualTo(EngineException.Kind.ENGINE_FAILED));
            assertThat(backend.thrown).isInstanceOf(CudaException.class).hasMessageContaining("write_at");
            // it tells its requests first
            while (engine.status().state() == EngineStatus.State.SERVING) {
                Thread.onSpinWait();
            }
            assertThat(engine.status().state()).isEqualTo(EngineStatus.State.FAILED);
            assertThat(engine.failure()).containsSame(backend.thrown);
            assertThat(DeviceFault.of(new IllegalStateException(backend.thrown))).contains(DeviceFault.PROGRAM);
            assertThat(DeviceFault.of(new IllegalStateException("another one"))).isEmpty();
            engine.close();
        }
    }

    private static GenerationRequest request() {
        var sampling = new SamplingParams(0, 0, 1, 0, 1, 0, 0, Map.of(), List.of(), List.of(), 0, 0);
        return new GenerationRequest("breaks", new int[] {1, 2, 3}, 20, 0, Set.of(), 1, -1, sampling);
    }

    /// Breaks the device in front of a step.
    private static final class Breaking implements Backend {

        private final CudaDevice device;
        private final Backend backend;
        private int steps;
        private DeviceBuffer buffer;
        private RuntimeException thrown;

        Breaking(CudaDevice device, Backend backend) {
            this.device = device;
            this.backend = backend;
        }

        @Override
        public Logits forward(Batch batch) {
            throw new UnsupportedOperationException("steps are launched");
        }

        @Override
        public LaunchedStep launch(Batch batch) {
            try {
                if (steps++ == STEPS_BEFORE) {
                    buffer = device.device().allocate(256);
                    device.kernels().get("emulator_faults", "write_at").arguments()
                            .pointer(buffer.address()).int64(1L << 20).float32(1).int32(0).int32(0)
                            .launch(device.device().stream(), LaunchShape.of(1, 64));
                }
                return watched(backend.launch(batch));
            } catch (RuntimeException e) {
                thrown = e;
                throw e;
            }
        }

        private LaunchedStep watched(LaunchedStep step) {
            return new LaunchedStep() {
                @Override
                public boolean sample(RowSampler rows) {
                    return noting(() -> step.sample(rows));
                }

                @Override
                public Sample[] await() {
                    return noting(step::await);
                }

                @Override
                public boolean isFinite(int entry) {
                    return step.isFinite(entry);
                }
            };
        }

        private <T> T noting(Supplier<T> deed) {
            try {
                return deed.get();
            } catch (RuntimeException e) {
                thrown = e;
                throw e;
            }
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
            device.device().moveToThisThread();
            buffer.close();
            backend.close();
        }
    }
}
