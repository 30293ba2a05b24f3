package dev.sidewinder.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.ReuseEstimate;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Those that run and leave for more urgent ones that wait. Frames of one block: a short sequence takes a state and a block.
class MakingWayTest {

    private static final HostShape HOST = new HostShape(8, 64);
    private final List<Sequence<String>> live = new ArrayList<>();
    private long ids;

    private static Scheduler<String> scheduler(int maxSequences, int frames, HostShape host) {
        var cache = new FrameCache(new FrameShape(frames, 1), host, ReuseEstimate.DEFAULT, new SplittableRandom(1));
        return new Scheduler<>(new SchedulerLimits(maxSequences, 512, 4096), cache);
    }

    private Sequence<String> submit(Scheduler<String> scheduler, int prompt, int maxTokens, int priority) {
        var sequence = new Sequence<>(++ids, new int[prompt], maxTokens, false, new Claim(priority, ""), "s" + ids);
        assertThat(scheduler.submit(sequence)).isEqualTo(new Admission.Queued());
        live.add(sequence);
        return sequence;
    }

    private void step(Scheduler<String> scheduler) {
        Batch batch = scheduler.next();
        assertThat(batch.isEmpty()).as("nothing runs, and these wait: %s", live).isFalse();
        Steps.complete(scheduler, batch, live);
    }

    private static Preemptions leftForStates(int suspendedNow, int copied) {
        return new Preemptions(suspendedNow, Preemptions.Left.NEVER, new Preemptions.Left(copied, 0), 0);
    }

    @Test
    void theYoungestOfTheLowestPriorityLeavesForOneThatWaitsForAStateAndComesBack() {
        // given three sequences in five frames, of which two take four
        Scheduler<String> scheduler = scheduler(6, 5, HOST);
        Sequence<String> middle = submit(scheduler, 10, 60, 3);
        Sequence<String> older = submit(scheduler, 10, 60, 5);
        Sequence<String> younger = submit(scheduler, 10, 60, 5);
        for (int i = 0; i < 3; i++) {
            step(scheduler);
        }
        assertThat(scheduler.running()).isEqualTo(2);
        assertThat(younger.state()).isEqualTo(Sequence.State.WAITING);

        // when a more urgent one comes
        Sequence<String> urgent = submit(scheduler, 10, 20, 0);
        for (int i = 0; i < 3; i++) {
            step(scheduler);
        }

        // then it runs in the place of the youngest of the lowest priority
        assertThat(urgent.state()).isEqualTo(Sequence.State.RUNNING);
        assertThat(middle.state()).isEqualTo(Sequence.State.RUNNING);
        assertThat(older.state()).isEqualTo(Sequence.State.SUSPENDED);
        assertThat(scheduler.preemptions()).isEqualTo(leftForStates(1, 1));

        // and that comes back before the one that waits, when there is room
        while (older.state() == Sequence.State.SUSPENDED) {
            assertThat(younger.state()).isEqualTo(Sequence.State.WAITING);
            step(scheduler);
        }
        while (!live.isEmpty()) {
            step(scheduler);
        }
        assertThat(scheduler.preemptions()).isEqualTo(leftForStates(0, 1));
    }

    @Test
    void oneOfALowerPriorityLeavesWherePlacesInTheStepsAreWhatIsMissing() {
        Scheduler<String> scheduler = scheduler(2, 40, HOST);
        Sequence<String> first = submit(scheduler, 10, 60, 5);
        Sequence<String> second = submit(scheduler, 10, 60, 5);
        step(scheduler);

        Sequence<String> urgent = submit(scheduler, 10, 20, 0);
        step(scheduler);
        step(scheduler);

        assertThat(urgent.state()).isEqualTo(Sequence.State.RUNNING);
        assertThat(first.state()).isEqualTo(Sequence.State.RUNNING);
        assertThat(second.state()).isEqualTo(Sequence.State.SUSPENDED);
        assertThat(scheduler.preemptions()).isEqualTo(leftForStates(1, 1));
    }

    @ParameterizedTest
    @CsvSource({"5, 6", "5, 40", "7, 6", "7, 40"})
    void nobodyLeavesForOneOfTheSameOrALowerPriority(int priority, int frames) {
        Scheduler<String> scheduler = scheduler(2, frames, HOST);
        submit(scheduler, 10, 60, 5);
        submit(scheduler, 10, 60, 5);
        submit(scheduler, 10, 20, priority);

        while (!live.isEmpty()) {
            step(scheduler);
        }
        assertThat(scheduler.preemptions()).isEqualTo(leftForStates(0, 0));
    }

    @Test
    void nobodyLeavesWithoutAHostArea() {
        Scheduler<String> scheduler = scheduler(2, 40, HostShape.NONE);
        submit(scheduler, 10, 60, 5);
        submit(scheduler, 10, 60, 5);
        step(scheduler);
        submit(scheduler, 10, 20, 0);

        while (!live.isEmpty()) {
            step(scheduler);
        }
        assertThat(scheduler.preemptions()).isEqualTo(leftForStates(0, 0));
    }

    @Test
    void nobodyLeavesInVain() {
        // given one of a better and one of a lower priority, and an urgent prompt that the host area could not take
        Scheduler<String> scheduler = scheduler(6, 12, new HostShape(8, 6));
        Sequence<String> better = submit(scheduler, 500, 60, 0);
        Sequence<String> lower = submit(scheduler, 10, 100, 5);
        step(scheduler);
        Sequence<String> urgent = submit(scheduler, 7 * 128, 20, 1);

        // then it waits for the better one, since the room of the lower one alone would not do
        while (better.state() != Sequence.State.ENDED) {
            assertThat(lower.state()).isEqualTo(Sequence.State.RUNNING);
            assertThat(urgent.state()).isEqualTo(Sequence.State.WAITING);
            step(scheduler);
        }
    }

    /// With an urgent one always waiting behind an urgent one that runs, in the only place there is.
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aSequenceLeavesThreeTimesAtMostHoweverManyAreMoreUrgent(boolean ahead) {
        Scheduler<String> scheduler = scheduler(1, 40, HOST);
        Sequence<String> patient = submit(scheduler, 400, 600, 5);
        int left = 0;
        Batch underWay = null;
        for (int i = 0; patient.state() != Sequence.State.ENDED; i++) {
            assertThat(i).as("steps: %s, %s", patient, scheduler.preemptions()).isLessThan(20_000);
            if (i % 40 == 5) {
                submit(scheduler, 20, 4, 0);
                left++;
            }
            Batch batch = underWay != null ? underWay : scheduler.next();
            Batch next = ahead ? scheduler.ahead() : null;
            Steps.complete(scheduler, batch, live);
            underWay = next == null || next.isEmpty() ? null : next;
        }
        assertThat(left).isGreaterThan(3);
        assertThat(scheduler.preemptions().forStates().copied()).isEqualTo(3);
    }

    /// The bound of the queue holds for those that have left, too.
    @Test
    void whoWasOvertakenForLongEnoughComesBackThoughMoreUrgentOnesWait() {
        // given one that has left for an urgent one
        Scheduler<String> scheduler = scheduler(1, 40, HOST);
        Sequence<String> patient = submit(scheduler, 100, 100, 5);
        step(scheduler);

        // when there is always another urgent one that waits
        long urgentTokens = 0;
        do {
            while (scheduler.waiting() < 2) {
                urgentTokens += 120;
                submit(scheduler, 100, 20, 0);
            }
            step(scheduler);
            assertThat(urgentTokens).as("tokens that went before 200").isLessThan(20 * 200);
        } while (patient.generatedTokens() < 50);

        assertThat(scheduler.preemptions().forStates().copied()).isEqualTo(1);
    }

    /// Whatever comes, of whatever priority, and with whatever room on the host: all end, and nobody leaves more than three times for those
    /// that wait.
    @ParameterizedTest
    @CsvSource({"1, 8, 64, false", "2, 8, 64, true", "3, 2, 9, true", "4, 1, 0, false", "5, 3, 12, false", "6, 64, 512, true"})
    void randomArrivalsAllEnd(long seed, int hostStates, int hostBlocks, boolean ahead) {
        System.out.println("MakingWayTest seed " + seed);
        Random random = new Random(seed);
        int count = 80;
        Scheduler<String> scheduler = scheduler(2 + random.nextInt(5), 12 + random.nextInt(12), new HostShape(hostStates, hostBlocks, 1 + random.nextInt(4)));
        Batch underWay = null;
        int left = count;
        long steps = 0;
        while (left > 0 || !live.isEmpty()) {
            if (left > 0 && random.nextInt(20) == 0) {
                submit(scheduler, 1 + random.nextInt(random.nextBoolean() ? 100 : 1000), 1 + random.nextInt(200), random.nextInt(4));
                left--;
            }
            if (!live.isEmpty() && random.nextInt(200) == 0) {
                Sequence<String> one = live.remove(random.nextInt(live.size()));
                scheduler.end(one);
            }
            Batch batch = underWay != null ? underWay : scheduler.next();
            if (batch.isEmpty()) {
                assertThat(live).as("nothing runs, and these wait").isEmpty();
                continue;
            }
            assertThat(++steps).as("steps, with %s left", live).isLessThan(count * 500L);
            Batch next = ahead ? scheduler.ahead() : null;
            Steps.complete(scheduler, batch, live);
            underWay = next == null || next.isEmpty() ? null : next;
        }
        if (underWay != null) {
            Steps.complete(scheduler, underWay, live);
        }
        Preemptions all = scheduler.preemptions();
        System.out.println("  " + all + " in " + steps + " steps");
        assertThat(all.forStates().copied() + all.forStates().recomputed()).isPositive().isLessThan(3L * count);
        assertThat(all.overloaded()).isZero();
    }
}
