package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.ODD;
import static dev.sidewinder.engine.cuda.EmulatedBackend.ROUND;
import static dev.sidewinder.engine.cuda.EmulatedBackend.SMALLEST;
import static dev.sidewinder.engine.cuda.EmulatedBackend.argMax;
import static dev.sidewinder.engine.cuda.EmulatedBackend.options;
import static dev.sidewinder.engine.cuda.EmulatedBackend.randomTokens;
import static dev.sidewinder.engine.cuda.EmulatedBackend.relativeError;
import static dev.sidewinder.engine.cuda.EmulatedBackend.run;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.ExpertLoad;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.cpu.Arithmetic;
import dev.sidewinder.engine.cpu.CpuBackend;
import dev.sidewinder.engine.cpu.CpuOptions;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.LogitRows;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The CUDA backend, emulated, against the CPU backend in fp32 on random weights; [CudaGoldenTest] has those that mean something.
@Timeout(900)
class CudaBackendTest {

    private static final CacheShape SHAPE = new CacheShape(8, 4);
    private static final int BLOCKS = 2;

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        ROUND + " | BF16",
        ROUND + "?format=fp8 | FP8",
        ROUND + "?format=nvfp4 | BF16",
        ODD + " | BF16",
        ODD + "?format=fp8 | FP8",
    })
    void agreesWithTheCpuOnAPromptAndTheTokensBehindIt(String location, Tolerance tolerance) {
        try (Model model = Model.open(location);
                Backend cpu = cpu(model);
                Backend cuda = EmulatedBackend.open(model, SHAPE, options(256, SHAPE), 1)) {
            int[] prompt = randomTokens(new Random(3), 150, model);
            var onCpu = TestSequence.at(1, BLOCKS, prompt);
            var onCuda = TestSequence.at(1, BLOCKS, prompt);
            float[] expected = run(cpu, onCpu.next(150, LogitRows.LAST))[0];
            float[] actual = run(cuda, onCuda.next(150, LogitRows.LAST))[0];
            for (int step = 0; step < 3; step++) {
                assertThat(relativeError(expected, actual)).as("relative error of logits, step %d", step).isLessThan(tolerance.relativeError());
                int token = argMax(expected);
                onCpu.append(token);
                onCuda.append(token);
                expected = run(cpu, onCpu.next(1, LogitRows.LAST))[0];
                actual = run(cuda, onCuda.next(1, LogitRows.LAST))[0];
            }
        }
    }

    @Test
    void givesTheRowsThatAreWantedInTheOrderOfTheEntries() {
        try (Model model = Model.open(ROUND);
                Backend cpu = cpu(model);
                Backend cuda = EmulatedBackend.open(model, SHAPE, options(512, SHAPE), 4)) {
            float[][][] rows = new float[2][][];
            int backend = 0;
            for (Backend each : List.of(cpu, cuda)) {
                // given a sequence that generates
                var random = new Random(9);
                var generating = TestSequence.at(3, BLOCKS, randomTokens(random, 5, model));
                run(each, generating.next(5, LogitRows.LAST));
                generating.append(7);
                // when it runs between prompts of which all rows, more than one product takes at once, no row and one are wanted
                rows[backend++] = run(each,
                        TestSequence.at(0, BLOCKS, randomTokens(random, 140, model)).next(140, LogitRows.ALL),
                        TestSequence.at(1, BLOCKS, randomTokens(random, 3, model)).next(3, LogitRows.NONE),
                        generating.next(1, LogitRows.LAST),
                        TestSequence.at(2, BLOCKS, randomTokens(random, 2, model)).next(2, LogitRows.LAST));
            }
            // then each row is where the CPU has it
            assertThat(rows[1]).hasNumberOfRows(142);
            for (int row = 0; row < 142; row++) {
                assertThat(relativeError(rows[0][row], rows[1][row])).as("row %d", row).isLessThan(Tolerance.BF16.relativeError());
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {ROUND, ODD})
    void keysAndValuesInOneByteStayClose(String location) {
        try (Model model = Model.open(location);
                Backend cpu = cpu(model);
                Backend cuda = EmulatedBackend.open(model, SHAPE,
                        new CudaOptions(256, 4, 1024, KvFormat.E4M3, false, true).withoutWarpgroups(), 5)) {
            int[] prompt = randomTokens(new Random(6), 40, model);
            float[] expected = run(cpu, TestSequence.at(0, BLOCKS, prompt).next(40, LogitRows.LAST))[0];
            float[] actual = run(cuda, TestSequence.at(0, BLOCKS, prompt).next(40, LogitRows.LAST))[0];
            assertThat(relativeError(expected, actual)).isLessThan(Tolerance.FP8_CACHE.relativeError());
        }
    }

    @Test
    void isRightOverAThousandReplays() {
        var shape = new CacheShape(8, 2);
        try (Model model = Model.open(SMALLEST);
                Backend cpu = cpu(model, shape);
                Backend cuda = EmulatedBackend.open(model, shape, options(128, shape), 8)) {
            // given two sequences, of which one begins anew now and then
            var random = new Random(10);
            var onCpu = new TestSequence[2];
            var onCuda = new TestSequence[2];
            double worst = 0;
            for (int step = 0; step < 1000; step++) {
                int which = random.nextInt(2);
                if (onCpu[which] == null || onCpu[which].length() > 120 + 200 * which) {
                    int[] prompt = randomTokens(random, 1 + random.nextInt(5), model);
                    onCpu[which] = TestSequence.at(which, 4, prompt);
                    onCuda[which] = TestSequence.at(which, 4, prompt);
                    run(cpu, onCpu[which].next(prompt.length, LogitRows.NONE));
                    run(cuda, onCuda[which].next(prompt.length, LogitRows.NONE));
                }
                // when a graph of one row or of two is replayed
                int token = random.nextInt(64);
                boolean both = onCpu[0] != null && onCpu[1] != null && random.nextBoolean();
                float[][] expected;
                float[][] actual;
                if (both) {
                    for (int i = 0; i < 2; i++) {
                        onCpu[i].append(token);
                        onCuda[i].append(token);
                    }
                    expected = run(cpu, onCpu[1].next(1, LogitRows.LAST), onCpu[0].next(1, LogitRows.LAST));
                    actual = run(cuda, onCuda[1].next(1, LogitRows.LAST), onCuda[0].next(1, LogitRows.LAST));
                } else {
                    onCpu[which].append(token);
                    onCuda[which].append(token);
                    expected = run(cpu, onCpu[which].next(1, LogitRows.LAST));
                    actual = run(cuda, onCuda[which].next(1, LogitRows.LAST));
                }
                for (int row = 0; row < expected.length; row++) {
                    worst = Math.max(worst, relativeError(expected[row], actual[row]));
                    assertThat(worst).as("relative error, step %d", step).isLessThan(Tolerance.BF16.relativeError());
                }
            }
        }
    }

    @Test
    void countsTheTokensOfEveryExpertAndNoPaddedRow() {
        try (Model model = Model.open(SMALLEST);
                CudaBackend cuda = EmulatedBackend.open(model, SHAPE, options(256, SHAPE), 11)) {
            // given a prompt of 20 tokens, and three sequences that generate in a bucket of four
            run(cuda, TestSequence.at(0, BLOCKS, randomTokens(new Random(1), 20, model)).next(20, LogitRows.NONE));
            var entries = new TestSequence[3];
            for (int i = 0; i < 3; i++) {
                entries[i] = TestSequence.at(i + 1, BLOCKS, new int[] {i});
                run(cuda, entries[i].next(1, LogitRows.NONE));
                entries[i].append(5);
            }
            run(cuda, entries[0].next(1, LogitRows.LAST), entries[1].next(1, LogitRows.LAST), entries[2].next(1, LogitRows.LAST));

            // then each token was counted twice, once for each of its experts, and padding never
            cuda.idle();
            ExpertLoad load = cuda.expertLoad().orElseThrow();
            assertThat(load.layers()).containsExactly(new ExpertLoad.Layer(2, 4));
            assertThat(LongStream.range(0, 4).map(expert -> load.tokens(0, (int) expert)).sum()).isEqualTo(2 * (20 + 3 + 3));
        }
    }

    /// Widths that only the plain kernels take: each slot, of which a token has three, is one block of each product, and a
    /// multiprocessor holds 16 of these.
    @Test
    void countsHowEvenlyTheBlocksOfExpertsAreSpread() {
        int places = 8 * 16;
        try (Model model = Model.open(SMALLEST.replace("intermediate=32,shared=32", "intermediate=24,shared=24"));
                CudaBackend cuda = EmulatedBackend.open(model, SHAPE, options(256, SHAPE), EmulatorSettings.withSeed(13).withMultiprocessors(8))) {
            ExpertLoad load = cuda.expertLoad().orElseThrow();
            assertThat(load.countsWork()).isTrue();
            // given few enough tokens for each block to have a place of its own
            run(cuda, TestSequence.at(0, BLOCKS, randomTokens(new Random(2), 42, model)).next(42, LogitRows.NONE));
            cuda.idle();
            assertThat(3 * 42).isLessThan(places);
            assertThat(load.workImbalance(0)).isZero();

            // when there are more, so that some places get a third one and others not
            run(cuda, TestSequence.at(0, BLOCKS, randomTokens(new Random(3), 100, model)).next(100, LogitRows.NONE));
            cuda.idle();

            // then the busiest did 1 + 3 and the mean one 1 + 300 / 128
            double mean = 1 + 300.0 / places;
            assertThat(load.workImbalance(0)).isEqualTo((4 - mean) / mean, within(1e-3));
        }
    }

    @Test
    void handsExpertCountsOverWhileStepsGoOn() {
        var shape = new CacheShape(2, 1);
        try (Model model = Model.open(SMALLEST);
                CudaBackend cuda = EmulatedBackend.open(model, shape, options(128, shape), EmulatorSettings.withSeed(17).lazily())) {
            ExpertLoad load = cuda.expertLoad().orElseThrow();
            var sequence = TestSequence.at(0, 2, new int[] {1});
            run(cuda, sequence.next(1, LogitRows.NONE));
            long counted = 0;
            for (int step = 2; step <= 3 * ExpertLoad.RECORD_STEPS; step++) {
                sequence.append(step % 64);
                run(cuda, sequence.next(1, LogitRows.LAST));
                long now = LongStream.range(0, 4).map(expert -> load.tokens(0, (int) expert)).sum();
                // never fewer than before, never more than there were, and never long behind
                assertThat(now).isBetween(counted, 2L * step);
                assertThat(2L * step - now).isLessThanOrEqualTo(2 * (2 * ExpertLoad.RECORD_STEPS));
                counted = now;
            }
            assertThat(counted).isGreaterThanOrEqualTo(2 * 2 * ExpertLoad.RECORD_STEPS);
            cuda.idle();
            assertThat(LongStream.range(0, 4).map(expert -> load.tokens(0, (int) expert)).sum())
                    .isEqualTo(2 * 3 * ExpertLoad.RECORD_STEPS);
        }
    }

    @Test
    void refusesWhatItWasNotPlannedFor() {
        try (Model model = Model.open(SMALLEST);
                CudaBackend cuda = EmulatedBackend.open(model, SHAPE, options(256, SHAPE), 12)) {
            assertThatThrownBy(() -> run(cuda, TestSequence.at(0, 3, new int[257]).next(257, LogitRows.LAST)))
                    .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("257").hasMessageContaining("256");
            for (int token : new int[] {-1, 64}) {
                assertThatThrownBy(() -> run(cuda, TestSequence.at(0, BLOCKS, new int[] {3, token}).next(2, LogitRows.LAST)))
                        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("token " + token);
            }
            var cutOffTheGrid = TestSequence.at(0, BLOCKS, new int[200]);
            run(cuda, cutOffTheGrid.next(100, LogitRows.NONE));
            assertThatThrownBy(() -> run(cuda, cutOffTheGrid.next(100, LogitRows.LAST)))
                    .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("token 100").hasMessageContaining("128");
            var elsewhere = TestSequence.at(0, BLOCKS, new int[129]);
            elsewhere.next(128, LogitRows.NONE);
            assertThatThrownBy(() -> run(cuda, elsewhere.next(1, LogitRows.LAST)))
                    .isInstanceOf(IllegalStateException.class).hasMessageContaining("slot 0");
        }
    }

    @Test
    void givesEverythingBackAlsoWhenItCannotBeBuilt() {
        try (Model model = Model.open(SMALLEST)) {
            EmulatedBackend.open(model, SHAPE, options(256, SHAPE), 13).close();
            assertThat(Emulator.liveAllocations()).isZero();

            // a device with too little memory for what was asked for
            var tiny = EmulatorSettings.withSeed(14).withTotalBytes(1 << 17);
            assertThatThrownBy(() -> EmulatedBackend.open(model, SHAPE, options(256, SHAPE), tiny))
                    .hasMessageContaining("CUDA_ERROR_OUT_OF_MEMORY")
                    .satisfies(failure -> assertThat(DeviceFault.of(failure)).contains(DeviceFault.OUT_OF_MEMORY));
            assertThat(Emulator.liveAllocations()).isZero();
        }
    }

    @Test
    void mayBeBuiltOnOneThreadUsedOnAnotherAndClosedOnAThird() throws InterruptedException {
        try (Model model = Model.open(SMALLEST)) {
            CudaBackend cuda = EmulatedBackend.open(model, SHAPE, options(256, SHAPE), 15);
            var failures = new ArrayList<Throwable>();
            for (Runnable work : List.<Runnable>of(
                    () -> run(cuda, TestSequence.at(0, BLOCKS, new int[] {1}).next(1, LogitRows.LAST)), cuda::close)) {
                Thread thread = Thread.ofPlatform().uncaughtExceptionHandler((_, failure) -> failures.add(failure)).start(work);
                thread.join();
            }
            assertThat(failures).isEmpty();
        }
    }

    @Test
    void saysWhatItRunsOn() {
        try (Model model = Model.open(SMALLEST);
                CudaBackend cuda = EmulatedBackend.open(model, SHAPE, options(256, SHAPE), 16)) {
            assertThat(cuda.description()).startsWith("cuda, ").contains("keys and values in bf16", "graphs", "batch-invariant");
        }
    }

    private static Backend cpu(Model model) {
        return cpu(model, SHAPE);
    }

    private static Backend cpu(Model model, CacheShape shape) {
        return new CpuBackend(model.config(), model.weights(), shape,
                new CpuOptions(Arithmetic.F32, 2, 512, CpuOptions.Products.SCALAR), LoadProgress.SILENT);
    }
}
