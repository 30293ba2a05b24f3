package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.engine.BackendMemory;
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
import org.junit.jupiter.params.provider.CsvSource;

/// Seeded traces of arrivals, cancels and mixed lengths on the emulated device, with steps launched ahead and without: in batch-invariant mode every request gets the
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

    /// In each way of sampling; alone, requests run on a backend whose tokens are chosen on the host.
    @ParameterizedTest
    @CsvSource({"1, AHEAD", "2, AHEAD", "3, AHEAD", "4, AHEAD", "5, AHEAD", "6, AHEAD", "1, DEVICE", "2, DEVICE", "3, HOST"})
    void everyRequestHasTheBitsItHasAlone(long seed, Sampling sampling) {
        System.out.println("CudaTraceTest seed " + seed + " " + sampling);
        var random = new Random(seed);
        var shape = new CacheShape(6 + random.nextInt(6), 2 + random.nextInt(5));
        BackendMemory memory = CudaBackend.memory(model.config(), KvFormat.BF16, shape.slots(), shape.blocks());
        CudaOptions options = EmulatedBackend.options(MAX_BATCH_TOKENS, new CacheShape(memory.frames().blocks(), shape.slots()));
        // Work that waits until the host does shows when a buffer is written again too early.
        EmulatorSettings settings = EmulatorSettings.withSeed(seed);
        new TraceHarness(() -> EmulatedBackend.open(model, memory, options.with(Sampling.HOST), settings))
                .play(seed, SIZE, () -> EmulatedBackend.open(model, memory, options.with(sampling), seed % 2 == 0 ? settings : settings.lazily()));
        Assertions.assertThat(Emulator.liveAllocations()).isZero();
    }
}
