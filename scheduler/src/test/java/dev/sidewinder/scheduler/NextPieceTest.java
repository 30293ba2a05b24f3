package dev.sidewinder.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.kvcache.ReuseEstimate;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Prompts that begin before there is room for all of them, in pools of frames of one block.
class NextPieceTest {

    private static final HostShape HOST = new HostShape(64, 512);
    private long ids;

    private static FrameCache cache(int frames, HostShape host) {
        return new FrameCache(new FrameShape(frames, 1), host, ReuseEstimate.DEFAULT, new SplittableRandom(1));
    }

    private static Scheduler<String> scheduler(FrameCache cache) {
        return new Scheduler<>(new SchedulerLimits(8, 264, 1 << 16), cache);
    }

    private Sequence<String> sequence(int prompt, int maxTokens, int priority) {
        return new Sequence<>(++ids, new int[prompt], maxTokens, false, new Claim(priority, ""), "s" + ids);
    }

    /// One that generates holds a state and eight blocks of 20 frames: ten are left, where the prompt of 12 blocks and its state need 14.
    private List<Sequence<String>> longPromptBesideOneThatGenerates(Scheduler<String> scheduler) {
        List<Sequence<String>> live = new ArrayList<>(List.of(sequence(900, 100, 0)));
        scheduler.submit(live.getFirst());
        while (live.getFirst().generatedTokens() == 0) {
            Steps.complete(scheduler, scheduler.next(), live);
        }
        Sequence<String> prompt = sequence(12 * 128, 5, 0);
        live.add(prompt);
        scheduler.submit(prompt);
        return live;
    }

    @Test
    void aPromptBeginsWhenThereIsRoomForItsNextPieceAndWaitsForTheRest() {
        Scheduler<String> scheduler = scheduler(cache(20, HOST));
        List<Sequence<String>> live = longPromptBesideOneThatGenerates(scheduler);
        Sequence<String> first = live.getFirst();
        Sequence<String> prompt = live.getLast();

        // when both have had their turns for a while
        for (int i = 0; i < 20; i++) {
            Steps.complete(scheduler, scheduler.next(), live);
        }

        // then the prompt has as much as leaves a block to the other, and goes on when that has ended
        assertThat(prompt.computed()).isEqualTo(8 * 128);
        assertThat(first.state()).isEqualTo(Sequence.State.RUNNING);
        while (!live.isEmpty()) {
            Steps.complete(scheduler, scheduler.next(), live);
        }
        assertThat(scheduler.preemptions().copied()).as("nobody had to leave").isZero();
    }

    @Test
    void withoutAHostAreaAPromptWaitsUntilThereIsRoomForAllOfIt() {
        Scheduler<String> scheduler = scheduler(cache(20, HostShape.NONE));
        List<Sequence<String>> live = longPromptBesideOneThatGenerates(scheduler);
        Steps.complete(scheduler, scheduler.next(), live);

        assertThat(live.getLast().state()).isEqualTo(Sequence.State.WAITING);
    }

    @Test
    void aPromptThatTheHostAreaCouldNotTakeWaitsUntilThereIsRoomForAllOfIt() {
        Scheduler<String> scheduler = scheduler(cache(20, new HostShape(2, 12)));
        List<Sequence<String>> live = longPromptBesideOneThatGenerates(scheduler);
        Steps.complete(scheduler, scheduler.next(), live);

        assertThat(live.getLast().state()).isEqualTo(Sequence.State.WAITING);
    }

    @Test
    void whatAPromptLacksIsLeftToItByThoseThatComeAfter() {
        // given a prompt that waits in its midst for the end of the first
        Scheduler<String> scheduler = scheduler(cache(20, HOST));
        List<Sequence<String>> live = longPromptBesideOneThatGenerates(scheduler);
        Sequence<String> first = live.getFirst();
        Steps.complete(scheduler, scheduler.next(), live);

        // when a short one comes, and a second long one
        Sequence<String> late = sequence(20, 5, 0);
        Sequence<String> second = sequence(12 * 128, 5, 0);
        live.addAll(List.of(late, second));
        scheduler.submit(late);
        scheduler.submit(second);
        while (first.state() != Sequence.State.ENDED) {
            Steps.complete(scheduler, scheduler.next(), live);
            assertThat(late.state()).isEqualTo(Sequence.State.WAITING);
        }

        // then the first long one ends before the second begins, and nobody has to leave
        Sequence<String> prompt = live.getFirst();
        while (!live.isEmpty()) {
            Steps.complete(scheduler, scheduler.next(), live);
            assertThat(prompt.state() == Sequence.State.ENDED || second.computed() < 12 * 128).isTrue();
        }
        assertThat(scheduler.preemptions().copied()).isZero();
    }

    @Test
    void aMoreUrgentOneDoesNotWaitForWhatAPromptLacks() {
        Scheduler<String> scheduler = scheduler(cache(20, HOST));
        List<Sequence<String>> live = longPromptBesideOneThatGenerates(scheduler);
        Steps.complete(scheduler, scheduler.next(), live);
        Sequence<String> urgent = sequence(20, 5, -1);
        live.add(urgent);
        scheduler.submit(urgent);

        // it begins in one of the two next steps, of which one has no room but for the oldest prompt's piece
        Steps.complete(scheduler, scheduler.next(), live);
        Steps.complete(scheduler, scheduler.next(), live);

        assertThat(live.get(1).computed()).as("the long prompt").isLessThan(12 * 128);
        assertThat(urgent.state()).isEqualTo(Sequence.State.RUNNING);
    }

    /// Each that leaves states keeps a quarter of a frame from those that begin.
    @Test
    void thoseThatBeginLeaveAPartOfThePoolToWhatIsKept() {
        // given frames of four blocks: each sequence takes a state and a block, and leaves one for each that runs and leaves states
        var cache = new FrameCache(new FrameShape(8, 4), HOST, ReuseEstimate.DEFAULT, new SplittableRandom(1));
        Scheduler<String> scheduler = scheduler(cache);
        int running = runningOf(scheduler, Optional.of(new Partition(1, 1)));
        var other = new FrameCache(new FrameShape(8, 4), HOST, ReuseEstimate.DEFAULT, new SplittableRandom(1));

        // then fewer run than where nobody leaves states: n sequences have 5 n blocks of 32, and leave n - 1 or none
        assertThat(running).isEqualTo(5);
        assertThat(runningOf(scheduler(other), Optional.empty())).isEqualTo(6);
    }

    private int runningOf(Scheduler<String> scheduler, Optional<Partition> partition) {
        for (int i = 0; i < 8; i++) {
            int[] prompt = new int[100];
            prompt[0] = i;
            scheduler.submit(new Sequence<>(++ids, prompt, 20, false, Claim.ORDINARY, new Prefixes(partition, List.of(), false, false), "s"));
        }
        // two prompts fit into a step
        for (int i = 0; i < 6; i++) {
            Batch batch = scheduler.next();
            scheduler.checkInvariants();
            scheduler.complete(batch, allSampled(batch));
        }
        return scheduler.running();
    }

    private static SampledTokens allSampled(Batch batch) {
        var sampled = new SampledTokens(16);
        for (int i = 0; i < batch.entries().size(); i++) {
            sampled.set(i, 7);
        }
        return sampled;
    }

    /// Prompts of which two hardly fit together, of all priorities, with one step or two under way: every one ends, and leaves less often than
    /// once on average.
    @ParameterizedTest
    @CsvSource({"1, 40, 20, false", "2, 40, 20, true", "3, 30, 400, true", "4, 60, 100, false", "5, 60, 100, true"})
    void longPromptsDoNotThrowEachOtherOut(long seed, int count, int most, boolean ahead) {
        System.out.println("NextPieceTest seed " + seed);
        Random random = new Random(seed);
        FrameCache cache = cache(20 + random.nextInt(20), HOST);
        Scheduler<String> scheduler = scheduler(cache);
        List<Sequence<String>> live = new ArrayList<>();
        int left = count;
        long steps = 0;
        Batch underWay = null;
        while (left > 0 || !live.isEmpty()) {
            if (left > 0 && random.nextInt(6) == 0) {
                Sequence<String> each = sequence(1 + random.nextInt(random.nextInt(4) == 0 ? 200 : 2000), 1 + random.nextInt(most), random.nextInt(3));
                scheduler.submit(each);
                live.add(each);
                left--;
            }
            Batch batch = underWay != null ? underWay : scheduler.next();
            if (batch.isEmpty()) {
                assertThat(live).as("nothing runs, and these wait; %s", cache.use()).isEmpty();
                continue;
            }
            assertThat(++steps).as("steps, with %s left", live).isLessThan(count * (100L + 4 * most));
            Batch next = ahead ? scheduler.ahead() : null;
            Steps.complete(scheduler, batch, live);
            underWay = next == null || next.isEmpty() ? null : next;
        }
        if (underWay != null) {
            Steps.complete(scheduler, underWay, live);
        }
        System.out.println("  " + scheduler.preemptions() + " in " + steps + " steps");
        assertThat(scheduler.preemptions().copied() + scheduler.preemptions().recomputed()).isLessThan(count);
        assertThat(cache.use().atRest()).as("%s", cache.use()).isTrue();
    }
}
