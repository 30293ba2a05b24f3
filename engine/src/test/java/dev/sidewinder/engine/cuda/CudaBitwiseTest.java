package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.ODD;
import static dev.sidewinder.engine.cuda.EmulatedBackend.ROUND;
import static dev.sidewinder.engine.cuda.EmulatedBackend.WIDE;
import static dev.sidewinder.engine.cuda.EmulatedBackend.options;
import static dev.sidewinder.engine.cuda.EmulatedBackend.randomTokens;
import static dev.sidewinder.engine.cuda.EmulatedBackend.run;
import static dev.sidewinder.engine.cuda.EmulatedBackend.withoutGraphs;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.ValueSource;

/// In batch-invariant mode a sequence's logits have the same bits whatever happens around it.
@Timeout(900)
@ParameterizedClass
@ValueSource(strings = {ROUND, ODD, ROUND + "?format=fp8", WIDE})
class CudaBitwiseTest {

    private static final CacheShape SHAPE = new CacheShape(18, 6);
    private static final int BLOCKS = 3;
    private static final int PROMPT_TOKENS = 150;
    private static final int GENERATED = 3;
    private static final int LENGTH = PROMPT_TOKENS + GENERATED;

    private final Model model;
    private final int[] tokens;
    private float[][] alone;

    CudaBitwiseTest(String location) {
        model = Model.open(location);
        tokens = randomTokens(new Random(11), LENGTH, model);
    }

    @BeforeEach
    void runAlone() {
        try (CudaBackend backend = EmulatedBackend.open(model, SHAPE, withoutGraphs(options(512, SHAPE)), 1)) {
            alone = inPieces(backend, PROMPT_TOKENS);
        }
    }

    @AfterEach
    void close() {
        model.close();
    }

    /// The prompt in pieces of so many tokens, then the generated tokens one by one.
    private float[][] inPieces(CudaBackend backend, int piece) {
        var sequence = sequence(2);
        List<float[]> rows = new ArrayList<>();
        for (int done = 0; done < PROMPT_TOKENS; done += piece) {
            rows.addAll(List.of(run(backend, sequence.next(Math.min(piece, PROMPT_TOKENS - done), LogitRows.ALL))));
        }
        for (int i = 0; i < GENERATED; i++) {
            sequence.append(tokens[PROMPT_TOKENS + i]);
            rows.addAll(List.of(run(backend, sequence.next(1, LogitRows.LAST))));
        }
        return rows.toArray(float[][]::new);
    }

    private TestSequence sequence(int slot) {
        return TestSequence.at(slot, BLOCKS, Arrays.copyOf(tokens, PROMPT_TOKENS));
    }

    @Test
    void whenThePromptIsCutOnTheGrid() {
        try (CudaBackend backend = EmulatedBackend.open(model, SHAPE, options(512, SHAPE), 2)) {
            assertThat(inPieces(backend, 128)).isDeepEqualTo(alone);
        }
    }

    @Test
    void withGraphsAndInAnotherOrderOfThreads() {
        try (CudaBackend backend = EmulatedBackend.open(model, SHAPE, options(512, SHAPE), 3)) {
            assertThat(inPieces(backend, PROMPT_TOKENS)).isDeepEqualTo(alone);
        }
    }

    @Test
    void whenTheDeviceRunsLateAndHasMoreMultiprocessors() {
        var settings = EmulatorSettings.withSeed(4).lazily().withMultiprocessors(21);
        try (CudaBackend backend = EmulatedBackend.open(model, SHAPE, options(512, SHAPE), settings)) {
            assertThat(inPieces(backend, PROMPT_TOKENS)).isDeepEqualTo(alone);
        }
    }

    /// Others come and go around it: batches of one to five generated tokens, buckets with padded rows, prompts beside them.
    @Test
    void amongOthers() {
        try (CudaBackend backend = EmulatedBackend.open(model, SHAPE, options(512, SHAPE), 5)) {
            var random = new Random(12);
            var sequence = sequence(0);
            var others = new TestSequence[SHAPE.slots() - 1];
            for (int i = 0; i < others.length; i++) {
                others[i] = TestSequence.at(i + 1, BLOCKS, randomTokens(random, 1 + 30 * i, model));
            }
            List<float[]> rows = new ArrayList<>();
            BatchEntry[] first = {others[0].next(1, LogitRows.LAST), others[2].next(others[2].remaining(), LogitRows.ALL),
                sequence.next(PROMPT_TOKENS, LogitRows.ALL), others[3].next(others[3].remaining(), LogitRows.NONE)};
            float[][] result = run(backend, first);
            rows.addAll(List.of(result).subList(1 + first[1].count(), result.length));
            for (int i = 0; i < GENERATED; i++) {
                List<BatchEntry> entries = new ArrayList<>();
                for (int other = 0; other < 2 * i + 1; other++) {
                    // those whose prompt has not run bring it along
                    boolean prompt = others[other].remaining() > 0;
                    if (!prompt) {
                        others[other].append(random.nextInt(model.config().vocabSize()));
                    }
                    entries.add(others[other].next(others[other].remaining(), LogitRows.LAST));
                }
                sequence.append(tokens[PROMPT_TOKENS + i]);
                int place = random.nextInt(entries.size() + 1);
                entries.add(place, sequence.next(1, LogitRows.LAST));
                rows.add(run(backend, entries.toArray(BatchEntry[]::new))[place]);
            }
            assertThat(rows.toArray(float[][]::new)).isDeepEqualTo(alone);
        }
    }

    /// A padded row reads and writes no state, whoever owns the slot that it does not have.
    @Test
    void whenItRestsWhileOthersRunInABucketWithPaddedRows() {
        try (CudaBackend backend = EmulatedBackend.open(model, SHAPE, options(512, SHAPE), 6)) {
            var sequence = sequence(0);
            var others = new TestSequence[3];
            List<float[]> rows = new ArrayList<>(List.of(run(backend, sequence.next(PROMPT_TOKENS, LogitRows.ALL))));
            for (int i = 0; i < 3; i++) {
                others[i] = TestSequence.at(i + 1, BLOCKS, new int[] {i});
                run(backend, others[i].next(1, LogitRows.NONE));
            }
            for (int i = 0; i < GENERATED; i++) {
                BatchEntry[] entries = new BatchEntry[3];
                for (int other = 0; other < 3; other++) {
                    others[other].append(9);
                    entries[other] = others[other].next(1, LogitRows.LAST);
                }
                run(backend, entries);
                sequence.append(tokens[PROMPT_TOKENS + i]);
                rows.addAll(List.of(run(backend, sequence.next(1, LogitRows.LAST))));
            }
            assertThat(rows.toArray(float[][]::new)).isDeepEqualTo(alone);
        }
    }
}
