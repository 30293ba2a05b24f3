package dev.sidewinder.scheduler;

import static dev.sidewinder.scheduler.KeepingPlan.INTERVAL_TOKENS;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.CheckpointPoint;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KeepingPlanTest {

    private static KeepingPlan plan(int promptTokens, Mark... marks) {
        return new KeepingPlan(List.of(marks), promptTokens);
    }

    /// All that is kept behind a position.
    private static Map<Integer, CheckpointPoint> kept(KeepingPlan plan, int from) {
        return plan.between(from, Integer.MAX_VALUE);
    }

    @ParameterizedTest
    @CsvSource({"127, 0", "128, 128", "129, 128", "255, 128", "256, 256", "257, 256", "383, 256", "384, 384"})
    void keepsTheStateAtOrBelowItsMark(int mark, int expected) {
        KeepingPlan plan = plan(1000, new Mark(mark, CheckpointPoint.SYSTEM));

        assertThat(kept(plan, 0)).isEqualTo(expected == 0 ? Map.of() : Map.of(expected, CheckpointPoint.SYSTEM));
    }

    /// A state after the whole prompt would leave nothing to compute, and no logits, for the same prompt.
    @ParameterizedTest
    @CsvSource({"1, 0", "128, 0", "129, 128", "256, 128", "257, 256"})
    void keepsNothingAtTheEndOfThePrompt(int promptTokens, int expected) {
        KeepingPlan plan = plan(promptTokens, new Mark(promptTokens, CheckpointPoint.TURN_START));

        assertThat(kept(plan, 0)).isEqualTo(expected == 0 ? Map.of() : Map.of(expected, CheckpointPoint.TURN_START));
    }

    @Test
    void keepsNothingAtTheBeginning() {
        assertThat(kept(plan(1000, new Mark(0, CheckpointPoint.SYSTEM)), 0)).isEmpty();
    }

    @Test
    void namesTheMoreCommonOfTwoReasonsWhicheverCameFirst() {
        KeepingPlan plan = plan(1000, new Mark(260, CheckpointPoint.TURN_END), new Mark(300, CheckpointPoint.SYSTEM),
                new Mark(400, CheckpointPoint.SYSTEM), new Mark(500, CheckpointPoint.TURN_START));

        assertThat(kept(plan, 0)).isEqualTo(Map.of(256, CheckpointPoint.SYSTEM, 384, CheckpointPoint.SYSTEM));
    }

    @Test
    void takesABranchInLater() {
        KeepingPlan plan = plan(1000, new Mark(300, CheckpointPoint.TURN_START));

        plan.add(256, CheckpointPoint.BRANCH);
        plan.add(700, CheckpointPoint.BRANCH);
        plan.add(5000, CheckpointPoint.BRANCH);

        assertThat(kept(plan, 0)).isEqualTo(
                Map.of(256, CheckpointPoint.TURN_START, 640, CheckpointPoint.BRANCH, 896, CheckpointPoint.BRANCH));
    }

    @Test
    void findsWhatLiesBehindOneEndAndUpToTheOther() {
        KeepingPlan plan = plan(1000, new Mark(128, CheckpointPoint.SYSTEM), new Mark(512, CheckpointPoint.TURN_START));

        assertThat(plan.between(0, 127)).isEmpty();
        assertThat(plan.between(0, 128)).containsExactly(Map.entry(128, CheckpointPoint.SYSTEM));
        assertThat(plan.between(128, 511)).as("where a piece begins there is nothing to keep").isEmpty();
        assertThat(plan.between(127, 1000)).containsExactly(Map.entry(128, CheckpointPoint.SYSTEM), Map.entry(512, CheckpointPoint.TURN_START));
        assertThat(plan.between(512, 1000)).isEmpty();
    }

    /// Half an interval is left behind the last one at least: below the prompt's last token, on the grid.
    @Test
    void keepsStatesOnTheWayThroughALongPrompt() {
        int shortest = INTERVAL_TOKENS + INTERVAL_TOKENS / 2 + 1;

        assertThat(kept(plan(shortest - 1), 0)).isEmpty();
        assertThat(kept(plan(shortest), 0)).isEqualTo(Map.of(INTERVAL_TOKENS, CheckpointPoint.INTERVAL));
        assertThat(kept(plan(1 << 20), 0)).hasSize((1 << 20) / INTERVAL_TOKENS - 1);
    }

    @Test
    void countsIntervalsFromMarks() {
        int mark = INTERVAL_TOKENS + 128 * 5;
        KeepingPlan plan = plan(3 * INTERVAL_TOKENS, new Mark(mark, CheckpointPoint.SYSTEM));

        assertThat(kept(plan, 0)).as("none right before the mark, and the next one a whole interval behind it").isEqualTo(
                Map.of(mark, CheckpointPoint.SYSTEM, mark + INTERVAL_TOKENS, CheckpointPoint.INTERVAL));
    }
}
