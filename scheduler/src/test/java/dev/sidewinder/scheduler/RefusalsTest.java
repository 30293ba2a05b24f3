package dev.sidewinder.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class RefusalsTest {

    private final Refusals refusals = new Refusals();

    /// Asks in every step from one on and is always refused.
    private List<Long> asked(Object sequence, long from, long to) {
        List<Long> steps = new ArrayList<>();
        for (long step = from; step < to; step++) {
            if (refusals.mayFit(sequence, step)) {
                refusals.refused(sequence, step);
                steps.add(step);
            }
        }
        return steps;
    }

    @Test
    void asksWhileStepsUnderWayMayBringItAndThenNowAndThen() {
        assertThat(asked("a", 10, 40)).containsExactly(10L, 11L, 12L, 20L, 28L, 36L);
    }

    @Test
    void asksWhenSomethingWasGivenBack() {
        asked("a", 10, 14);
        refusals.hope(14);
        assertThat(asked("a", 14, 23)).containsExactly(14L, 15L, 16L);
    }

    @Test
    void asksForSomebodyElseAtOnce() {
        asked("a", 10, 14);
        assertThat(asked("b", 14, 18)).containsExactly(14L, 15L, 16L);
        assertThat(refusals.mayFit("a", 18)).isTrue();
    }
}
