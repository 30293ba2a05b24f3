package dev.sidewinder.engine.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The CPU backend against recorded answers of an independent engine.
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class GoldenTest {

    /// The recording engine and a third implementation differ by 8e-6; fp32 sums in another order by about 1e-4.
    private static final float LOGIT_TOLERANCE = 2e-4f;
    /// Bf16 keeps 8 bits of every factor; measured well below this on these prompts.
    private static final double DIVERGENCE_LIMIT = 0.03;
    private static final int OTHERS = 15;
    private static final int BLOCKS_PER_SEQUENCE = 34;
    private static final int MAX_BATCH_TOKENS = 4352;

    private Model model;
    private CpuBackend exact;
    private CpuBackend rounded;

    @BeforeAll
    void open() {
        model = GoldenData.model();
        exact = backend(Arithmetic.F32);
        rounded = backend(Arithmetic.BF16);
    }

    private CpuBackend backend(Arithmetic arithmetic) {
        return new CpuBackend(model.config(), model.weights(),
                new CacheShape(BLOCKS_PER_SEQUENCE * (OTHERS + 1), OTHERS + 1),
                new CpuOptions(arithmetic, 2, MAX_BATCH_TOKENS, CpuOptions.Products.BEST), LoadProgress.SILENT);
    }

    @AfterAll
    void close() {
        exact.close();
        rounded.close();
        model.close();
    }

    static List<GoldenData.Case> cases() {
        return GoldenData.cases();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void agreesWhenThePromptComesWhole(GoldenData.Case golden) {
        assertAgrees(golden, golden.prompt().length, 0);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void agreesWhenThePromptComesInPiecesOfOneBlock(GoldenData.Case golden) {
        assertAgrees(golden, 128, 0);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void agreesWhenThePromptComesInPiecesOfThreeBlocks(GoldenData.Case golden) {
        assertAgrees(golden, 384, 0);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void agreesWhenThePromptComesTokenByToken(GoldenData.Case golden) {
        assertAgrees(golden, 1, 0);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void agreesAmongFifteenOtherSequences(GoldenData.Case golden) {
        assertAgrees(golden, 256, OTHERS);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void bf16StaysCloseToTheRecordedDistribution(GoldenData.Case golden) {
        float[] logits = prefill(rounded, TestSequence.at(3, BLOCKS_PER_SEQUENCE, golden.prompt()), 256, new Others(0));

        assertThat(divergence(golden.logits(), logits)).isLessThan(DIVERGENCE_LIMIT);
    }

    private void assertAgrees(GoldenData.Case golden, int piece, int others) {
        // given the sequence in one slot and the others around it
        var sequence = TestSequence.at(OTHERS, BLOCKS_PER_SEQUENCE, golden.prompt());
        var crowd = new Others(others);

        // when the prompt runs
        float[] logits = prefill(exact, sequence, piece, crowd);

        // then its logits are the recorded ones
        assertThat(worstDifference(golden.logits(), logits)).isLessThan(LOGIT_TOLERANCE);

        // and greedy decoding goes on with the recorded tokens
        int count = golden.greedy().length;
        for (int i = 0; i < count; i++) {
            sequence.append(argmax(logits));
            if (i + 1 < count) {
                logits = run(exact, sequence.next(1, LogitRows.LAST), crowd);
            }
        }
        assertThat(sequence.lastTokens(count)).isEqualTo(golden.greedy());
    }

    private static float[] prefill(CpuBackend backend, TestSequence sequence, int piece, Others others) {
        while (sequence.remaining() > piece) {
            run(backend, sequence.next(piece, LogitRows.NONE), others);
        }
        return run(backend, sequence.next(sequence.remaining(), LogitRows.LAST), others);
    }

    /// Runs one entry in the middle of a batch; returns the logits of its last token, empty when it wants none.
    private static float[] run(CpuBackend backend, BatchEntry entry, Others others) {
        var entries = new ArrayList<>(others.entries());
        int place = entries.size() / 2;
        entries.add(place, entry);
        Logits logits = backend.forward(new Batch(1, entries));
        int row = new Batch(1, entries.subList(0, place)).logitRows();
        return entry.logitRows() == 0
                ? new float[0]
                : Arrays.copyOfRange(logits.values(), logits.offset(row), logits.offset(row + 1));
    }

    /// Sequences that come, run a few mixed pieces and start anew.
    private static final class Others {
        private final Random random = new Random(7);
        private final TestSequence[] sequences;

        Others(int count) {
            sequences = new TestSequence[count];
        }

        List<BatchEntry> entries() {
            var entries = new ArrayList<BatchEntry>();
            for (int i = 0; i < sequences.length; i++) {
                if (sequences[i] == null || sequences[i].remaining() == 0) {
                    int[] prompt = random.ints(1 + random.nextInt(150), 0, 512).toArray();
                    sequences[i] = TestSequence.at(i, BLOCKS_PER_SEQUENCE, prompt);
                }
                int left = sequences[i].remaining();
                int count = random.nextInt(4) > 0 ? 1 : Math.min(left, 40);
                entries.add(sequences[i].next(count, LogitRows.values()[random.nextInt(3)]));
            }
            return entries;
        }
    }

    private static int argmax(float[] values) {
        int best = 0;
        for (int i = 1; i < values.length; i++) {
            if (values[i] > values[best]) {
                best = i;
            }
        }
        return best;
    }

    private static float worstDifference(float[] expected, float[] actual) {
        assertThat(actual).hasSameSizeAs(expected);
        float worst = 0;
        for (int i = 0; i < expected.length; i++) {
            float difference = Math.abs(expected[i] - actual[i]);
            // NaN must count as the worst, and comparisons with it are false.
            worst = difference <= worst ? worst : difference;
        }
        return worst;
    }

    /// Kullback-Leibler divergence of the softmax of `actual` from that of `expected`, in nats.
    private static double divergence(float[] expected, float[] actual) {
        double expectedTotal = logSumExp(expected);
        double actualTotal = logSumExp(actual);
        double sum = 0;
        for (int i = 0; i < expected.length; i++) {
            double logP = expected[i] - expectedTotal;
            sum += Math.exp(logP) * (logP - (actual[i] - actualTotal));
        }
        return sum;
    }

    private static double logSumExp(float[] values) {
        double max = Double.NEGATIVE_INFINITY;
        for (float value : values) {
            max = Math.max(max, value);
        }
        double sum = 0;
        for (float value : values) {
            sum += Math.exp(value - max);
        }
        return max + Math.log(sum);
    }
}
