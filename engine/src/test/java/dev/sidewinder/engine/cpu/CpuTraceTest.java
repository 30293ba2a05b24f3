package dev.sidewinder.engine.cpu;

import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.Trace;
import dev.sidewinder.engine.TraceHarness;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.model.Model;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Seeded traces of arrivals, cancels, sessions and mixed lengths on the real forward pass: every request gets the token ids and
/// log-probabilities, bit for bit, that it gets alone, and nothing is leaked.
@Timeout(600)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class CpuTraceTest {

    private static final int TRACES = 6;
    private static final Trace.Size SIZE = new Trace.Size(14, 14, 420, -1);
    private static final int MAX_BATCH_TOKENS = 1024;

    private Model model;

    @BeforeAll
    void open() {
        model = GoldenData.model();
    }

    @AfterAll
    void close() {
        model.close();
    }

    @ParameterizedTest
    @EnumSource(Arithmetic.class)
    void everyRequestHasTheBitsItHasAlone(Arithmetic arithmetic) {
        for (long trace = 1; trace <= TRACES; trace++) {
            System.out.println("CpuTraceTest seed " + trace + ", " + arithmetic);
            var random = new Random(trace);
            BackendMemory plain = CpuCacheLayout.of(model.config(), arithmetic).memory(2 + random.nextInt(5), 6 + random.nextInt(12));
            // With a host area there are sessions and suspensions.
            BackendMemory memory = trace % 2 == 0 ? plain : new BackendMemory(plain.frames(), new HostShape(6, 30));
            var options = new CpuOptions(arithmetic, 2, MAX_BATCH_TOKENS, CpuOptions.Products.BEST);
            var harness = new TraceHarness(() -> new CpuBackend(model.config(), model.weights(), memory, options, LoadProgress.SILENT));
            harness.play(trace, SIZE);
            System.out.println("CpuTraceTest seed " + trace + ": " + harness.totals());
        }
    }
}
