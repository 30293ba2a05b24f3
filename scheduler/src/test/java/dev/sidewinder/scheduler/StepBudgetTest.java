package dev.sidewinder.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class StepBudgetTest {

    private static final long GAP_NANOS = 50_000_000;
    private static final int STEP_TOKENS = 8192 + 64;

    private final StepBudget budget = new StepBudget(GAP_NANOS);

    @ParameterizedTest
    @CsvSource({"1, 1", "127, 127", "128, 128", "129, 129", "8256, 8256", "8257, 8192", "100000, 8192"})
    void takesWhatTheStepHoldsWhereNobodyGenerates(int rest, int expected) {
        budget.begin(STEP_TOKENS);
        assertThat(budget.piece(0, rest)).isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource({"1, 1", "127, 127", "129, 129", "8191, 8191", "8192, 8192", "8193, 8192", "100000, 8192"})
    void takesWhatTheStepHoldsWithoutATarget(int rest, int expected) {
        var unlimited = new StepBudget(0);
        unlimited.begin(STEP_TOKENS);
        for (int i = 0; i < 64; i++) {
            unlimited.takeDecode(1000);
        }
        assertThat(unlimited.piece(0, rest)).isEqualTo(expected);
        unlimited.takePiece(0, expected);
        assertThat(unlimited.hasRoom()).isEqualTo(expected < 8192);
    }

    @ParameterizedTest
    @CsvSource({"1, 1", "511, 511", "512, 512", "513, 512", "100000, 512"})
    void takesLittleBeforeAnythingIsKnown(int rest, int expected) {
        beginWithDecodes(64, 100);
        assertThat(budget.piece(0, rest)).isEqualTo(expected);
    }

    @Test
    void takesNoMoreThanTwiceWhatWasMeasured() {
        // given a machine so fast that time is no bound
        for (int expected = 512; expected <= 8192; expected *= 2) {
            beginWithDecodes(1, 100);
            int piece = budget.piece(0, 100_000);
            assertThat(piece).isEqualTo(expected);
            budget.takePiece(0, piece);
            budget.learn(budget.load(), 1000);
        }
    }

    @Test
    void takesABlockAtAPlaceSoFarIntoAPromptThatNothingIsKnownOfIt() {
        beginWithDecodes(1, 100);
        assertThat(budget.piece(1_000_064, 4000)).isEqualTo(128);
    }

    /// Decode steps of 26 ms and a pass of 26 ms over any prompt, however short: together more than there is time for.
    @Test
    void paysForAPassOverTheWeightsWithMoreThanABlockWhereTheTimeIsLostAnyway() {
        Random random = new Random(1);
        long tokens = 0;
        long longest = 0;
        int steps = 1000;
        for (int i = 0; i < steps; i++) {
            beginWithDecodes(64, 500);
            if (i % 3 > 0) {
                int rest = 1 + random.nextInt(3000);
                budget.takePiece(0, budget.piece(0, rest));
            }
            StepLoad load = budget.load();
            long nanos = 26_000_000 + (load.promptTokens() > 0 ? 26_000_000 + 14_000L * load.promptTokens() : 0);
            budget.learn(load, nanos);
            if (i >= 100) {
                tokens += load.promptTokens();
                longest = Math.max(longest, nanos);
            }
        }
        // then a step is a quarter longer than with a block of 128 at most, and prompts go on several times as fast
        assertThat(longest).isLessThan((long) (1.3 * (52_000_000 + 128 * 14_000)));
        assertThat(tokens / (steps - 100)).isGreaterThan(3 * 128);
    }

    @Test
    void keepsTheTargetAgainAsSoonAsItCanBeKept() {
        // given a machine on which a step with a block of a prompt takes too long, and then one that is five times as fast
        long late = 0;
        for (int i = 0; i < 600; i++) {
            beginWithDecodes(64, 500);
            budget.takePiece(0, budget.piece(0, 100_000));
            StepLoad load = budget.load();
            long nanos = (52_000_000 + 14_000L * load.promptTokens()) / (i < 300 ? 1 : 5);
            budget.learn(load, nanos);
            late += i >= 400 && nanos > GAP_NANOS ? 1 : 0;
        }
        // then no step is too long any more
        assertThat(late).isZero();
    }

    @Test
    void takesABlockHoweverLongTheStepIsAlready() {
        // given decode steps that take longer than they should, and a price for prompts that forbids a second block
        for (int i = 0; i < 50; i++) {
            beginWithDecodes(64, 1000);
            if (i % 2 == 1) {
                budget.takePiece(256, 128);
            }
            budget.learn(budget.load(), (i % 2 == 1 ? 4 : 2) * GAP_NANOS);
        }
        // when there is a prompt
        beginWithDecodes(64, 1000);
        assertThat(budget.piece(256, 5000)).isEqualTo(128);
        budget.takePiece(256, 128);
        // then there is no second piece in the step
        assertThat(budget.piece(0, 128)).isZero();
    }

    /// A machine of a given speed, 64 sequences that generate, and prompts that never end.
    @ParameterizedTest
    @ValueSource(doubles = {0.2, 1, 5})
    void keepsTheTargetAndUsesTheTimeThereIs(double slowness) {
        Random random = new Random(1);
        int late = 0;
        long tokens = 0;
        double room = 0;
        int steps = 2000;
        int from = 0;
        for (int i = 0; i < steps; i++) {
            beginWithDecodes(64, 500 + i);
            int piece = budget.piece(from, 1_000_000);
            budget.takePiece(from, piece);
            StepLoad load = budget.load();
            double perToken = 8e3 * slowness;
            double base = slowness * (2e6 + 2e4 * load.decodes() + 0.01 * load.cachedTokens());
            double nanos = (base + perToken * load.promptTokens() + slowness * 0.05 * load.promptPairs()) * (0.97 + 0.06 * random.nextDouble());
            if (i >= 100) {
                late += nanos > GAP_NANOS ? 1 : 0;
                tokens += piece;
                double fitting = (GAP_NANOS - base) / (perToken + slowness * 0.05 * from);
                room += Math.clamp(128 * Math.floor(fitting / 128), 128, 8192);
            }
            budget.learn(load, Math.round(nanos));
            from = (from + piece) % 500_096;
        }
        assertThat(late).as("steps over the target").isLessThan(steps / 100);
        assertThat(tokens / room).as("prompt tokens, of the whole blocks that would have fitted").isGreaterThan(0.75);
    }

    @Test
    void takesMoreThanABlockWhereThatCostsHardlyMore() {
        // given a machine that reads all of a prompt for each piece of it, which takes 137 ms at a million tokens
        Random random = new Random(1);
        int from = 0;
        int far = 0;
        int farPieces = 0;
        while (from < 1_000_000) {
            beginWithDecodes(8, 1000);
            int piece = budget.piece(from, 2_000_000);
            budget.takePiece(from, piece);
            double nanos = (3e6 + 8e3 * piece + 0.137e3 * from) * (0.97 + 0.06 * random.nextDouble());
            budget.learn(budget.load(), Math.round(nanos));
            if (from > 800_000) {
                far += piece;
                farPieces++;
            }
            from += piece;
        }
        // then the pieces where no piece fits into the time are longer than a block
        assertThat(far / farPieces).isGreaterThan(4 * 128);
    }

    private void beginWithDecodes(int decodes, int from) {
        budget.begin(STEP_TOKENS);
        for (int i = 0; i < decodes; i++) {
            budget.takeDecode(from);
        }
    }
}
