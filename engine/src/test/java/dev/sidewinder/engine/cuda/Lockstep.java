package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.argMax;
import static dev.sidewinder.engine.cuda.EmulatedBackend.relativeError;
import static dev.sidewinder.engine.cuda.EmulatedBackend.run;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.ExpertLoad;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.scheduler.LogitRows;
import java.util.Arrays;

/// Runs the same tokens on two backends and holds every row of logits of the second against the first, as [Tolerance] says.
final class Lockstep {

    /// A token of the second backend may differ where the best two of the first are closer than this many times the error of
    /// a row, of which the largest single logit is about three times, on both of them.
    private static final double TURNING = 6;

    private final Backend expected;
    private final Backend actual;
    private final Tolerance tolerance;
    private final TestSequence expectedSequence;
    private final TestSequence actualSequence;
    private float[] expectedRow;
    private float[] actualRow;
    private int rows;
    private int comparable;

    Lockstep(Backend expected, Backend actual, Tolerance tolerance, int blocks, int[] prompt) {
        this.expected = expected;
        this.actual = actual;
        this.tolerance = tolerance;
        expectedSequence = TestSequence.at(0, blocks, prompt);
        actualSequence = TestSequence.at(0, blocks, prompt);
    }

    /// Runs the prompt in pieces, to its last row.
    void prompt(int pieceTokens) {
        expectedRow = prefill(expected, expectedSequence, pieceTokens);
        actualRow = prefill(actual, actualSequence, pieceTokens);
        // which experts the last token went to is lost among all of the prompt
        checkDivergence();
    }

    private static float[] prefill(Backend backend, TestSequence sequence, int pieceTokens) {
        while (sequence.remaining() > pieceTokens) {
            run(backend, sequence.next(pieceTokens, LogitRows.NONE));
        }
        return run(backend, sequence.next(sequence.remaining(), LogitRows.LAST))[0];
    }

    /// Runs one generated token.
    void next(int token) {
        long[] before = differences();
        expectedSequence.append(token);
        actualSequence.append(token);
        expectedRow = run(expected, expectedSequence.next(1, LogitRows.LAST))[0];
        actualRow = run(actual, actualSequence.next(1, LogitRows.LAST))[0];
        checkDivergence();
        rows++;
        if (Arrays.equals(before, differences())) {
            comparable++;
            assertThat(relativeError(expectedRow, actualRow)).as("relative error of row %d", rows)
                    .isLessThan(tolerance.relativeError());
            checkChoice();
        }
    }

    /// What the first backend would go on with.
    int choice() {
        return argMax(expectedRow);
    }

    /// How far that is ahead of the second best, in logits.
    float lead() {
        int best = argMax(expectedRow);
        float second = Float.NEGATIVE_INFINITY;
        for (int token = 0; token < expectedRow.length; token++) {
            second = token == best ? second : Math.max(second, expectedRow[token]);
        }
        return expectedRow[best] - second;
    }

    float[] actualRow() {
        return actualRow;
    }

    /// Whether enough rows were held against each other for the comparison to mean something.
    void finish() {
        assertThat(comparable).as("rows of %d with the same experts", rows).isGreaterThanOrEqualTo((rows + 1) / 2);
    }

    private void checkDivergence() {
        assertThat(divergence(expectedRow, actualRow)).as("divergence of row %d", rows).isLessThan(tolerance.divergence());
    }

    private void checkChoice() {
        double squares = 0;
        for (float logit : expectedRow) {
            squares += (double) logit * logit;
        }
        double turns = TURNING * tolerance.relativeError() * Math.sqrt(squares / expectedRow.length);
        if (lead() > turns) {
            assertThat(argMax(actualRow)).as("token of row %d, which is ahead by more than %s", rows, turns).isEqualTo(choice());
        }
    }

    /// By how many tokens the counts of each expert differ.
    private long[] differences() {
        expected.idle();
        actual.idle();
        ExpertLoad first = expected.expertLoad().orElseThrow();
        ExpertLoad second = actual.expertLoad().orElseThrow();
        long[] differences = new long[first.layers().stream().mapToInt(ExpertLoad.Layer::experts).sum()];
        int at = 0;
        for (int layer = 0; layer < first.layers().size(); layer++) {
            for (int expert = 0; expert < first.layers().get(layer).experts(); expert++) {
                differences[at++] = first.tokens(layer, expert) - second.tokens(layer, expert);
            }
        }
        return differences;
    }

    /// Kullback-Leibler divergence of the distributions over tokens.
    static double divergence(float[] expected, float[] actual) {
        double expectedSum = 0;
        double actualSum = 0;
        for (int i = 0; i < expected.length; i++) {
            expectedSum += Math.exp(expected[i]);
            actualSum += Math.exp(actual[i]);
        }
        double divergence = 0;
        for (int i = 0; i < expected.length; i++) {
            double p = Math.exp(expected[i]) / expectedSum;
            divergence += p * (expected[i] - Math.log(expectedSum) - actual[i] + Math.log(actualSum));
        }
        return divergence;
    }
}
