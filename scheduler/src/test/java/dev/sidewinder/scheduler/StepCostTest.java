package dev.sidewinder.scheduler;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import java.util.function.ToDoubleFunction;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class StepCostTest {

    private final StepCost cost = new StepCost(true);

    /// Nanoseconds of a device: 2 ms, 50 µs for each sequence and 10 ns for each thousand tokens that it reads, 8 µs for each token of a
    /// prompt, 0.06 ns for each pair, 20 ns for each token before a piece, and 10 ms for a pass over prompts.
    private static double device(StepLoad load) {
        double pass = load.promptTokens() > 0 ? 1e7 : 0;
        return 2e6 + pass + 5e4 * load.decodes() + 10.0 * load.cachedTokens() / 1e3 + 8e3 * load.promptTokens() + 0.06 * load.promptPairs() + 20.0 * load.pieceTokens();
    }

    private static StepLoad drawn(Random random) {
        StepLoad load = StepLoad.NONE;
        int decodes = random.nextInt(64);
        for (int i = 0; i < decodes; i++) {
            load = load.withDecode(random.nextInt(20_000));
        }
        return random.nextBoolean() ? load : load.withPiece(128 * random.nextInt(1000), 128 * (1 + random.nextInt(32)));
    }

    private void learn(int steps, long seed, ToDoubleFunction<StepLoad> machine) {
        Random random = new Random(seed);
        for (int i = 0; i < steps; i++) {
            StepLoad load = drawn(random);
            cost.learn(load, Math.round(machine.applyAsDouble(load)));
        }
    }

    private double worstError(long seed, ToDoubleFunction<StepLoad> machine) {
        Random random = new Random(seed);
        double worst = 0;
        for (int i = 0; i < 200; i++) {
            StepLoad load = drawn(random);
            double truth = machine.applyAsDouble(load);
            worst = Math.max(worst, Math.abs(cost.nanos(load) - truth) / truth);
        }
        return worst;
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5})
    void learnsWhatStepsOfAllKindsTake(long seed) {
        learn(300, seed, StepCostTest::device);
        assertThat(worstError(seed + 100, StepCostTest::device)).isLessThan(0.05);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5})
    void learnsFromNoisySteps(long seed) {
        Random noise = new Random(seed);
        learn(500, seed, load -> device(load) * (0.85 + 0.3 * noise.nextDouble()));
        assertThat(worstError(seed + 100, StepCostTest::device)).isLessThan(0.3);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5})
    void isNotMisledByPausesOfTheMachine(long seed) {
        // given that one step of twenty takes fifty times as long, and one of forty no time to speak of
        Random pauses = new Random(seed);
        learn(500, seed, load -> device(load) * switch (pauses.nextInt(40)) {
            case 0, 1 -> 50;
            case 2 -> 0.001;
            default -> 1;
        });
        assertThat(worstError(seed + 100, StepCostTest::device)).isLessThan(0.6);
    }

    @ParameterizedTest
    @CsvSource({"0.1, 1", "0.1, 2", "0.1, 3", "0.1, 4", "0.1, 5", "10, 1", "10, 2", "10, 3", "10, 4", "10, 5"})
    void believesAMachineThatHasChanged(double factor, long seed) {
        learn(300, seed, StepCostTest::device);
        learn(100, seed + 50, load -> factor * device(load));
        assertThat(worstError(seed + 100, load -> factor * device(load))).isLessThan(0.4);
    }

    @Test
    void keepsThePriceOfPromptsWhileThereAreNone() {
        // given what a prompt token costs
        learn(300, 1, StepCostTest::device);

        // when only generated tokens come for long, whose contexts grow, and a step takes twice as long for some other reason
        for (int i = 0; i < 20_000; i++) {
            StepLoad load = new StepLoad(64, 64L * (1000 + i), 0, 0, 0);
            cost.learn(load, Math.round(device(load) + 2e6));
        }

        // then it still costs that
        StepLoad piece = StepLoad.NONE.withPiece(12_800, 2048);
        double expected = device(piece) - device(StepLoad.NONE);
        assertThat(cost.pieceNanos(StepLoad.NONE, 12_800, 2048)).isCloseTo(expected, Percentage.withPercentage(20));
    }

    @Test
    void remembersNoNumbersTooSmallToReckonWith() {
        // given prompts, and then generated tokens alone for so many steps that what is remembered of prompts fades away
        learn(300, 2, StepCostTest::device);
        for (int i = 0; i < 60_000; i++) {
            StepLoad load = new StepLoad(64, 64L * (1000 + i), 0, 0, 0);
            cost.learn(load, Math.round(device(load)));
            cost.checkInvariants();
        }

        // when prompts come again
        learn(300, 3, load -> {
            cost.checkInvariants();
            return device(load);
        });

        // then they are known as before
        assertThat(worstError(4, StepCostTest::device)).isLessThan(0.05);
    }

    @Test
    void doesNotTakeAPriceFromWhatIsLongPast() {
        // given one small prompt long ago, and a fixed time that has changed since
        cost.learn(new StepLoad(0, 0, 128, 8128, 0), 3_000_000);
        for (int i = 0; i < 5000; i++) {
            cost.learn(new StepLoad(1, 1000 + i, 0, 0, 0), 2_000_000 + 400 * i);
        }
        assertThat(cost.pieceNanos(StepLoad.NONE, 0, 128)).isBetween(0.0, 3e6);
        assertThat(cost.nanos(new StepLoad(1, 6000, 0, 0, 0))).isCloseTo(4e6, Percentage.withPercentage(5));
    }

    /// A GPU that reads weights for 14 ms and multiplies 1,500 tokens meanwhile; each one more takes 9 µs.
    private static double reading(StepLoad load) {
        return 14e6 + 9e3 * Math.max(0, load.promptTokens() - 1500) + 5e3 * load.decodes();
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5})
    void doesNotTakeMoreTokensToBeAsCheapAsThoseThatAreMultipliedMeanwhile(long seed) {
        // given a machine that has shown pieces of all sizes, and then small ones only, for long
        Random random = new Random(seed);
        for (int step = 0; step < 400; step++) {
            int blocks = 1 + random.nextInt(step < 100 ? 32 : 4);
            StepLoad load = beside(random.nextInt(64), 128 * blocks);
            cost.learn(load, Math.round(reading(load)));
        }
        // then it knows what small ones cost, and is not far from it for large ones
        assertThat(cost.nanos(beside(32, 256))).isCloseTo(reading(beside(32, 256)), Percentage.withPercentage(3));
        for (int tokens : new int[] {2048, 3072, 4096}) {
            double truth = reading(beside(32, tokens));
            assertThat(cost.nanos(beside(32, tokens))).as("%d tokens", tokens).isBetween(0.9 * truth, 1.4 * truth);
            double before = cost.nanos(beside(32, 512));
            assertThat(cost.pieceNanos(beside(32, 512), 512, tokens)).isCloseTo(cost.nanos(beside(32, 512).withPiece(512, tokens)) - before,
                    within(1.0));
        }
    }

    private static StepLoad beside(int decodes, int promptTokens) {
        StepLoad load = StepLoad.NONE;
        for (int i = 0; i < decodes; i++) {
            load = load.withDecode(0);
        }
        return load.withPiece(0, promptTokens);
    }


    @Test
    void findsTheSamePricesAgain() {
        learn(300, 7, StepCostTest::device);
        var again = new StepCost(true);
        Random random = new Random(7);
        for (int i = 0; i < 300; i++) {
            StepLoad load = drawn(random);
            again.learn(load, Math.round(device(load)));
        }
        StepLoad load = drawn(random);
        assertThat(again.nanos(load)).isEqualTo(cost.nanos(load));
    }

    @Test
    void learnsNothingFromAClockThatStandsStill() {
        cost.learn(new StepLoad(1, 10, 0, 0, 0), 0);
        assertThat(cost.steps()).isZero();
        assertThat(cost.nanos(new StepLoad(1, 10, 128, 8128, 0))).isCloseTo(0, within(0.0));
    }
}
