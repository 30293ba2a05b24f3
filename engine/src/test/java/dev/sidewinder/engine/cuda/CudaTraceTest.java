package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.engine.Trace;
import dev.sidewinder.engine.TraceHarness;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import java.util.Random;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Seeded traces of arrivals, cancels and mixed lengths on the emulated device: in batch-invariant mode every request gets the
/// token ids and log-probabilities, bit for bit, that it gets alone, and nothing is leaked, on the host or on the device.
@Timeout(900)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class CudaTraceTest {

    private static final Trace.Size SIZE = new Trace.Size(6, 8, 300, -1);
    private static final int MAX_BATCH_TOKENS = 640;

    private Model model;

    @BeforeAll
    void open() {
        model = Model.open(EmulatedBackend.SMALLEST);
    }

    @AfterAll
    void close() {
        model.close();
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void everyRequestHasTheBitsItHasAlone(long seed) {
        System.out.println("CudaTraceTest seed " + seed);
        var random = new Random(seed);
        var shape = new CacheShape(6 + random.nextInt(6), 2 + random.nextInt(5));
        new TraceHarness(() -> EmulatedBackend.open(model, shape, EmulatedBackend.options(MAX_BATCH_TOKENS, shape), seed))
                .play(seed, SIZE);
        Assertions.assertThat(Emulator.liveAllocations()).isZero();
    }
}
