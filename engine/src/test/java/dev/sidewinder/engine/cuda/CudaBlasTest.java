package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.ROUND;
import static dev.sidewinder.engine.cuda.EmulatedBackend.argMax;
import static dev.sidewinder.engine.cuda.EmulatedBackend.randomTokens;
import static dev.sidewinder.engine.cuda.EmulatedBackend.relativeError;
import static dev.sidewinder.engine.cuda.EmulatedBackend.run;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.cuda.emulator.RecordedLaunch;
import dev.sidewinder.cuda.kernel.BlasChoices;
import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.cpu.Arithmetic;
import dev.sidewinder.engine.cpu.CpuBackend;
import dev.sidewinder.engine.cpu.CpuOptions;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.LogitRows;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Products for which the recorded table prefers cuBLAS run there, by a stand-in for its library: single ones, and those of
/// captured steps. Everything else stays ours.
class CudaBlasTest {

    private static final CacheShape SHAPE = new CacheShape(4, 2);
    private static final int PROMPT_TOKENS = 40;
    private static final double TOLERANCE = 0.01;

    /// A process loads one cuBLAS: one file for all tests.
    @TempDir
    static Path libraries;
    private static Path cublas;

    private final Model model = Model.open(ROUND);
    private final int[] prompt = randomTokens(new Random(8), PROMPT_TOKENS, model);

    @BeforeAll
    static void unpackCublas() throws IOException {
        cublas = libraries.resolve("libcublas.so.13");
        try (InputStream library = Emulator.class.getResourceAsStream("native/libcublas.so.13")) {
            Files.copy(library, cublas);
        }
    }

    @AfterEach
    void close() {
        model.close();
    }

    /// The head and the output of attention, as `bench gpu` would have measured them for up to so many rows.
    private BlasChoices choices(String device, int rows) {
        int hidden = model.config().hiddenSize();
        return BlasChoices.parse(BlasChoices.HEADER + "\n"
                + "%s,1,%d,%d,%d,9,3,580.1,abc\n".formatted(device, rows, model.config().vocabSize(), hidden)
                + "%s,1,%d,%d,%d,9,3,580.1,abc\n".formatted(device, rows, hidden, 256));
    }

    private CudaBackend open(BlasChoices choices, boolean batchInvariant) {
        Emulator.reset(EmulatorSettings.withSeed(1));
        CudaDevice device = CudaDevice.open(Device.open(Emulator.driver(), 0), Emulator.images(), "of the emulator", choices,
                Optional.of(cublas));
        var options = new CudaOptions(256, SHAPE.slots(), SHAPE.blocks() * CacheShape.BLOCK_TOKENS, KvFormat.BF16, batchInvariant, true)
                .withoutWarpgroups();
        return new CudaBackend(device, model.config(), model.weights(), SHAPE, options, LoadProgress.SILENT);
    }

    private String emulatedDevice() {
        Emulator.reset(EmulatorSettings.withSeed(1));
        try (Device device = Device.open(Emulator.driver(), 0)) {
            return device.info().name();
        }
    }

    /// Our own kernels for products, of a prompt.
    private long ownProducts(CudaBackend backend) {
        List<RecordedLaunch> launches = Emulator.recording(() -> run(backend, TestSequence.at(1, 2, prompt).next(PROMPT_TOKENS, LogitRows.LAST)));
        return launches.stream().filter(launch -> launch.kernel().startsWith("linear_")).count();
    }

    @Test
    void whatWasMeasuredQuickerRunsOnCublas() {
        String device = emulatedDevice();
        long own;
        try (CudaBackend ours = open(choices("another device", 100), false)) {
            own = ownProducts(ours);
        }
        try (CudaBackend some = open(choices(device, PROMPT_TOKENS), false)) {
            assertThat(ownProducts(some)).as("two products less").isEqualTo(own - 2);
            assertThat(some.description()).contains("; cuBLAS 13.0 for the products it is quicker at");
        }
        // rows outside of the measured range: of the prompt, but not of its head, which has one
        try (CudaBackend few = open(choices(device, PROMPT_TOKENS - 1), false)) {
            assertThat(ownProducts(few)).isEqualTo(own - 1);
        }
        try (CudaBackend invariant = open(choices(device, PROMPT_TOKENS), true)) {
            assertThat(ownProducts(invariant)).as("batch-invariant").isEqualTo(own);
            assertThat(invariant.description()).doesNotContain("cuBLAS");
        }
    }

    @Test
    void answersAreThoseOfTheCpu() {
        try (Backend cpu = new CpuBackend(model.config(), model.weights(), SHAPE,
                new CpuOptions(Arithmetic.F32, 2, 512, CpuOptions.Products.SCALAR), LoadProgress.SILENT);
                Backend cuda = open(choices(emulatedDevice(), 100), false)) {
            var onCpu = TestSequence.at(0, 2, prompt);
            var onCuda = TestSequence.at(0, 2, prompt);
            float[] expected = run(cpu, onCpu.next(PROMPT_TOKENS, LogitRows.LAST))[0];
            float[] actual = run(cuda, onCuda.next(PROMPT_TOKENS, LogitRows.LAST))[0];
            for (int step = 0; step < 3; step++) {
                assertThat(relativeError(expected, actual)).as("relative error of logits, step %d", step).isLessThan(TOLERANCE);
                int token = argMax(expected);
                onCpu.append(token);
                onCuda.append(token);
                expected = run(cpu, onCpu.next(1, LogitRows.LAST))[0];
                actual = run(cuda, onCuda.next(1, LogitRows.LAST))[0];
            }
        }
    }

    @Test
    void aLibraryThatIsNotThereLeavesEverythingToUs() {
        String name = emulatedDevice();
        Emulator.reset(EmulatorSettings.withSeed(1));
        try (CudaDevice device = CudaDevice.open(Device.open(Emulator.driver(), 0), Emulator.images(), "of the emulator",
                choices(name, 100), Optional.of(Path.of("/no/such/libcublas.so")))) {
            assertThat(device.blas()).isEmpty();
        }
    }
}
