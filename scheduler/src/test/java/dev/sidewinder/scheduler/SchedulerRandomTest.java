package dev.sidewinder.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Thousands of random arrivals, cancellations, pauses and steps in small pools, one step at a time or two under way.
/// Checked at every step: who ran what before, the order of admission, the budget, the books, and that no step under way
/// shares memory with another sequence's.
class SchedulerRandomTest {

    private static final int OPERATIONS = 20_000;
    private static final int[] LENGTHS = {1, 2, 127, 128, 129, 255, 256, 257, 383, 384, 385, 640};

    private final List<Sequence<Integer>> live = new ArrayList<>();
    private final Map<Long, Integer> ranUpTo = new HashMap<>();
    private final Deque<Batch> underWay = new ArrayDeque<>();
    private final Deque<Touched> touched = new ArrayDeque<>();
    private FrameShape shape;
    private boolean runsAhead;
    private int unread;
    private long late;
    private long ids;
    private long lastAdmitted;

    @ParameterizedTest
    @ValueSource(longs = {11, 12, 13, 14, 15, 16, 17, 18})
    void runsEveryTokenOnceAndInOrder(long seed) {
        System.out.println("SchedulerRandomTest seed " + seed);
        Random random = new Random(seed);
        shape = FrameShape.holding(2 + random.nextInt(5), 8 + random.nextInt(25), 1 + random.nextInt(4));
        FrameCache cache = FrameCache.plain(shape);
        int maxSequences = 1 + random.nextInt(8);
        var limits = new SchedulerLimits(maxSequences, 128 * (1 + random.nextInt(3)) + maxSequences, 1024);
        Scheduler<Integer> scheduler = new Scheduler<>(limits, cache);
        runsAhead = seed % 4 != 0;

        for (int i = 0; i < OPERATIONS; i++) {
            switch (random.nextInt(8)) {
                case 0, 1 -> arrive(scheduler, limits, random);
                case 2 -> pauseOrResume(scheduler, random);
                case 3 -> {
                    if (!live.isEmpty() && random.nextInt(3) == 0) {
                        end(scheduler, live.get(random.nextInt(live.size())));
                    }
                }
                default -> step(scheduler, limits, random);
            }
            scheduler.checkInvariants();
        }
        finishAll(scheduler, limits, random);
        assertThat(unread > 100).as("%d unread tokens were run", unread).isEqualTo(runsAhead);
        assertThat(scheduler.lateCompletions()).isEqualTo(late);
        assertThat(cache.use().atRest()).as("%s", cache.use()).isTrue();
        assertThat(cache.use().freeBlocks()).isEqualTo(shape.blocks());
        assertThat(scheduler.running() + scheduler.waiting() + scheduler.paused()).isZero();
    }

    private void arrive(Scheduler<Integer> scheduler, SchedulerLimits limits, Random random) {
        if (live.size() > 60) {
            return;
        }
        int prompt = LENGTHS[random.nextInt(LENGTHS.length)];
        int maxTokens = random.nextInt(4) == 0 ? LENGTHS[random.nextInt(LENGTHS.length)] : random.nextInt(20);
        var sequence = new Sequence<>(++ids, new int[prompt], maxTokens, random.nextInt(6) == 0, maxTokens);
        boolean fits = Math.max(prompt, prompt + maxTokens - 1) <= shape.mostTokens() && prompt + maxTokens <= limits.maxSequenceTokens();
        Admission admission = scheduler.submit(sequence);
        assertThat(admission instanceof Admission.Queued).isEqualTo(fits);
        if (fits) {
            live.add(sequence);
            ranUpTo.put(sequence.id(), 0);
        }
    }

    private void pauseOrResume(Scheduler<Integer> scheduler, Random random) {
        if (live.isEmpty()) {
            return;
        }
        Sequence<Integer> sequence = live.get(random.nextInt(live.size()));
        if (sequence.state() == Sequence.State.RUNNING) {
            scheduler.pause(sequence);
        } else if (sequence.state() == Sequence.State.PAUSED) {
            scheduler.resume(sequence);
        }
    }

    private boolean step(Scheduler<Integer> scheduler, SchedulerLimits limits, Random random) {
        if (underWay.isEmpty()) {
            launch(scheduler, limits, scheduler.next());
        }
        if (runsAhead && underWay.size() == 1 && random.nextInt(4) > 0) {
            launch(scheduler, limits, scheduler.ahead());
        }
        if (underWay.isEmpty()) {
            assertThat(scheduler.running() == 0 || live.isEmpty()).as("nothing runs only when nothing can").isTrue();
            return false;
        }
        // some sequences end while their step is under way
        for (Batch batch : underWay) {
            for (int i = 0; i < batch.entries().size(); i++) {
                Sequence<Integer> sequence = scheduler.scheduled(batch, i);
                if (sequence.state() != Sequence.State.ENDED && random.nextInt(50) == 0) {
                    end(scheduler, sequence);
                }
            }
        }
        scheduler.checkInvariants();
        if (!runsAhead || random.nextInt(4) > 0) {
            complete(scheduler, limits, random);
        }
        return true;
    }

    private void launch(Scheduler<Integer> scheduler, SchedulerLimits limits, Batch batch) {
        checkOrderOfAdmission();
        if (!batch.isEmpty()) {
            checkBatch(scheduler, limits, batch);
            var now = Touched.of(batch, shape);
            touched.forEach(earlier -> checkMemory(earlier, now));
            checkMemory(now, now);
            underWay.add(batch);
            touched.add(now);
        }
    }

    private void complete(Scheduler<Integer> scheduler, SchedulerLimits limits, Random random) {
        Batch batch = underWay.remove();
        touched.remove();
        var tokens = new SampledTokens(limits.maxSequences());
        List<Sequence<Integer>> without = new ArrayList<>();
        for (int i = 0; i < batch.entries().size(); i++) {
            Sequence<Integer> sequence = scheduler.scheduled(batch, i);
            BatchEntry entry = batch.entries().get(i);
            if (sequence.state() == Sequence.State.ENDED) {
                late++;
            } else if (entry.from() + entry.count() == sequence.length() && sequence.generatedTokens() < sequence.maxTokens()) {
                if (random.nextInt(60) == 0) {
                    without.add(sequence);
                } else {
                    tokens.set(i, random.nextInt(100));
                }
            }
        }
        scheduler.complete(batch, tokens);
        without.forEach(sequence -> end(scheduler, sequence));
        for (int i = 0; i < batch.entries().size(); i++) {
            Sequence<Integer> sequence = scheduler.scheduled(batch, i);
            boolean promptDone = sequence.computed() >= sequence.promptTokens();
            if (sequence.state() != Sequence.State.ENDED && promptDone
                    && (sequence.generatedTokens() == sequence.maxTokens() || random.nextInt(100) == 0)) {
                end(scheduler, sequence);
            }
        }
    }

    /// No two sequences of steps under way have a frame's state or a block in common, also when one of them has ended.
    private void checkMemory(Touched earlier, Touched later) {
        earlier.entries().forEach((before, blocks) -> later.entries().forEach((entry, others) -> {
            if (!before.equals(entry)) {
                assertThat(others).as("memory of %d, while %d's is touched", entry, before).doesNotContainAnyElementsOf(blocks);
            }
        }));
    }

    /// Blocks that a step touches, by sequence; a state counts as all blocks of its frame.
    private record Touched(Map<Long, Set<Integer>> entries) {

        static Touched of(Batch batch, FrameShape shape) {
            Map<Long, Set<Integer>> entries = new HashMap<>();
            for (BatchEntry entry : batch.entries()) {
                Set<Integer> blocks = new HashSet<>();
                for (int i = 0; i < CacheShape.blocksFor(entry.from() + entry.count()); i++) {
                    blocks.add(entry.allocation().block(i));
                }
                int frame = entry.allocation().slot() * shape.blocksPerFrame();
                for (int i = frame; i < frame + shape.blocksPerFrame(); i++) {
                    assertThat(blocks.add(i)).as("the state of %d overlaps its block %d", entry.sequence(), i).isTrue();
                }
                entries.put(entry.sequence(), blocks);
            }
            return new Touched(entries);
        }
    }

    /// Sequences get memory in the order in which they came. The first steps of a sequence may come later than others': a block
    /// of its own may wait for a step, and it may be paused meanwhile.
    private void checkOrderOfAdmission() {
        long newest = lastAdmitted;
        for (Sequence<Integer> sequence : live) {
            if (sequence.state() == Sequence.State.WAITING) {
                assertThat(sequence.id()).as("waits, though %d has been admitted", newest).isGreaterThan(newest);
            } else {
                newest = Math.max(newest, sequence.id());
            }
        }
        lastAdmitted = newest;
    }

    private void checkBatch(Scheduler<Integer> scheduler, SchedulerLimits limits, Batch batch) {
        assertThat(batch.tokens()).isLessThanOrEqualTo(limits.maxBatchTokens());
        assertThat(batch.entries()).hasSizeLessThanOrEqualTo(limits.maxSequences());
        assertThat(batch.logitRows()).isLessThanOrEqualTo(limits.maxSequences() + 127);
        var slots = new HashSet<Integer>();
        boolean promptSeen = false;
        for (int i = 0; i < batch.entries().size(); i++) {
            BatchEntry entry = batch.entries().get(i);
            Sequence<Integer> sequence = scheduler.scheduled(i);
            assertThat(sequence.state()).isEqualTo(Sequence.State.RUNNING);
            assertThat(slots.add(entry.allocation().slot())).as("one sequence per slot").isTrue();
            assertThat(entry.from()).as("goes on where it stopped: %s", sequence).isEqualTo(ranUpTo.get(entry.sequence()));
            int end = entry.from() + entry.count();
            assertThat(entry.allocation().blockCount()).isGreaterThanOrEqualTo(CacheShape.blocksFor(end));
            if (end < sequence.promptTokens()) {
                assertThat(end % 128).as("cut on the grid").isZero();
            }
            boolean prompt = entry.from() < sequence.promptTokens();
            boolean known = entry.from() < sequence.length();
            assertThat(entry.source()).isEqualTo(prompt ? TokenSource.PROMPT : known ? TokenSource.GENERATED : TokenSource.UNREAD);
            unread += known ? 0 : 1;
            assertThat(end).as("not beyond the longest answer").isLessThanOrEqualTo(sequence.promptTokens() + Math.max(0, sequence.maxTokens() - 1));
            assertThat(prompt ? end <= sequence.promptTokens() : entry.count() == 1).as("of one source: %s", entry).isTrue();
            assertThat(prompt || !promptSeen).as("decodes come first").isTrue();
            promptSeen |= prompt;
            ranUpTo.put(entry.sequence(), end);
        }
    }

    private void end(Scheduler<Integer> scheduler, Sequence<Integer> sequence) {
        scheduler.end(sequence);
        live.remove(sequence);
    }

    /// Resumes everything and runs dry: whatever was accepted ends, within a bounded number of steps.
    private void finishAll(Scheduler<Integer> scheduler, SchedulerLimits limits, Random random) {
        for (Sequence<Integer> sequence : live) {
            if (sequence.state() == Sequence.State.PAUSED) {
                scheduler.resume(sequence);
            }
        }
        // a step may be launched in one turn and completed in another
        long bound = 4 * (2 + live.stream().mapToLong(sequence -> sequence.promptTokens() + sequence.maxTokens() + 1L).sum());
        for (long steps = 0; step(scheduler, limits, random); steps++) {
            assertThat(steps).as("no starvation").isLessThan(bound);
            scheduler.checkInvariants();
        }
        assertThat(live).isEmpty();
    }
}
