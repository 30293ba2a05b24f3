package dev.sidewinder.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.ReuseEstimate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Pools of three states and eight blocks, in which sequences have to leave for each other.
class SuspensionTest {

    private final Map<Long, Integer> ranUpTo = new HashMap<>();
    private long ids;

    private static FrameCache cache(int hostStates, int hostBlocks) {
        return new FrameCache(FrameShape.holding(3, 8, 1), new HostShape(hostStates, hostBlocks), ReuseEstimate.DEFAULT,
                new SplittableRandom(1));
    }

    private Sequence<String> sequence(int prompt, int maxTokens, int priority) {
        return new Sequence<>(++ids, new int[prompt], maxTokens, false, new Claim(priority, ""), "s" + ids);
    }

    /// Whatever room there is on the host, and with one step or two under way: every sequence ends, each of its tokens having run
    /// once and in order, but for those that were computed again, and nothing is left.
    @ParameterizedTest
    @CsvSource({"16, 64, 512, false", "64, 64, 512, false", "64, 64, 512, true", "16, 2, 6, false", "64, 1, 0, true", "40, 3, 4, true"})
    void everySequenceEnds(int sequences, int hostStates, int hostBlocks, boolean ahead) {
        FrameCache cache = cache(hostStates, hostBlocks);
        var scheduler = new Scheduler<String>(new SchedulerLimits(6, 512, 4096), cache);
        Random random = new Random(sequences + hostBlocks);
        List<Sequence<String>> live = new ArrayList<>();
        long tokens = 0;
        for (int i = 0; i < sequences; i++) {
            Sequence<String> each = sequence(1 + random.nextInt(400), 100 + random.nextInt(500), random.nextInt(3));
            assertThat(scheduler.submit(each)).isEqualTo(new Admission.Queued());
            live.add(each);
            tokens += each.promptTokens() + each.maxTokens();
        }
        Batch underWay = null;
        long steps = 0;
        while (!live.isEmpty()) {
            assertThat(++steps).as("steps for %d tokens, with %s; %s", tokens, live, scheduler.preemptions()).isLessThan(4 * tokens);
            Batch batch = underWay != null ? underWay : scheduler.next();
            assertThat(batch.isEmpty()).as("nothing runs, and these wait: %s; %s", live, cache.use()).isFalse();
            Batch next = ahead ? scheduler.ahead() : null;
            complete(scheduler, batch, live);
            scheduler.checkInvariants();
            underWay = next == null || next.isEmpty() ? null : next;
        }
        if (underWay != null) {
            complete(scheduler, underWay, live);
        }
        assertThat(scheduler.preemptions().copied() + scheduler.preemptions().recomputed()).as("had to leave").isPositive();
        assertThat(cache.use().atRest()).as("%s", cache.use()).isTrue();
    }

    private void complete(Scheduler<String> scheduler, Batch batch, List<Sequence<String>> live) {
        var sampled = new SampledTokens(16);
        for (int i = 0; i < batch.entries().size(); i++) {
            BatchEntry entry = batch.entries().get(i);
            Sequence<String> sequence = scheduler.scheduled(batch, i);
            if (sequence.state() == Sequence.State.ENDED) {
                continue;
            }
            int ran = ranUpTo.getOrDefault(entry.sequence(), 0);
            assertThat(entry.from()).as("goes on where it stopped, or begins again: %s", sequence).isIn(ran, 0);
            ranUpTo.put(entry.sequence(), entry.from() + entry.count());
            if (entry.from() + entry.count() == sequence.length() && sequence.generatedTokens() < sequence.maxTokens()) {
                sampled.set(i, 7);
            }
        }
        scheduler.complete(batch, sampled);
        for (Sequence<String> each : List.copyOf(live)) {
            if (each.generatedTokens() == each.maxTokens()) {
                scheduler.end(each);
                live.remove(each);
            }
        }
    }

    @Test
    void theYoungestOfTheLowestPriorityLeavesAndComesBackWhenThereIsRoom() {
        // given three sequences that will need more than there is
        FrameCache cache = cache(8, 64);
        var scheduler = new Scheduler<String>(new SchedulerLimits(6, 512, 4096), cache);
        Sequence<String> first = sequence(380, 400, 0);
        Sequence<String> low = sequence(250, 400, 5);
        Sequence<String> young = sequence(120, 400, 0);
        List<Sequence<String>> live = new ArrayList<>(List.of(first, low, young));
        live.forEach(scheduler::submit);

        // when they generate until somebody has to leave
        while (scheduler.preemptions().suspendedNow() == 0) {
            complete(scheduler, scheduler.next(), live);
        }

        // then it is the one of the lowest priority, though it is not the youngest
        assertThat(low.state()).isEqualTo(Sequence.State.SUSPENDED);
        assertThat(first.state()).isEqualTo(Sequence.State.RUNNING);
        assertThat(young.state()).isEqualTo(Sequence.State.RUNNING);

        // and it comes back when another one has ended
        scheduler.end(first);
        live.remove(first);
        for (int i = 0; i < 4; i++) {
            complete(scheduler, scheduler.next(), live);
        }
        assertThat(low.state()).isEqualTo(Sequence.State.RUNNING);
        scheduler.checkInvariants();
    }

    @Test
    void whoHasToComputeAgainAndWouldGetOtherBitsIsEndedInstead() {
        // given room on the host for nobody, and decode steps that leave other bits than scans
        var cache = new FrameCache(FrameShape.holding(3, 8, 1), new HostShape(1, 0), ReuseEstimate.DEFAULT, new SplittableRandom(1));
        var scheduler = new Scheduler<String>(new SchedulerLimits(6, 512, 4096), cache, DecodedStates.SERVE_THEIR_SEQUENCE);
        List<Sequence<String>> live = new ArrayList<>(List.of(sequence(380, 400, 0), sequence(250, 400, 0), sequence(120, 400, 0)));
        live.forEach(scheduler::submit);

        // when somebody has to leave
        List<Sequence<String>> overloaded = List.of();
        while (overloaded.isEmpty()) {
            complete(scheduler, scheduler.next(), live);
            overloaded = scheduler.takeOverloaded();
        }

        // then its owner is told once, and the others go on when it has ended
        assertThat(overloaded).hasSize(1);
        assertThat(scheduler.preemptions().overloaded()).isEqualTo(1);
        scheduler.end(overloaded.getFirst());
        live.removeAll(overloaded);
        complete(scheduler, scheduler.next(), live);
        scheduler.checkInvariants();
    }
}
