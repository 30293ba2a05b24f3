package dev.sidewinder.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostCopy;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.kvcache.ReuseEstimate;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/// A sequence of 1,048,576 tokens has to leave for 64 that generate, and comes back when these have ended, on a clock that each
/// step moves by what it would take on a GPU (the 30B shape on an H100, about).
class SuspensionGapTest {

    private static final int TOKENS = 1 << 20;
    private static final int READERS = 64;
    private static final int ANSWER = 400;
    private static final int BLOCKS_PER_FRAME = 64;
    /// Blocks of the long sequence, states of all, and blocks of the short ones for a part of their answers.
    private static final FrameShape FRAMES = FrameShape.holding(READERS + 2, TOKENS / 128 + 2 * READERS, BLOCKS_PER_FRAME);
    private static final long GAP_NANOS = 50_000_000;
    /// 768 KiB at 50 GB/s, and a state of 46.8 MiB.
    private static final long BLOCK_NANOS = 15_700;
    private static final long STATE_NANOS = 980_000;

    private final Map<Long, Long> lastTokenNanos = new HashMap<>();
    private long now;
    private long longestGapNanos;
    private long mostCopyNanos;
    private int stepsOfCopies;

    @Test
    void whoGeneratesKeepsItsPaceWhileAMillionTokensLeaveAndComeBack() {
        play(new HostShape(4, TOKENS / 64, BLOCKS_PER_FRAME));

        assertThat(longestGapNanos).as("longest time between two tokens").isLessThan(GAP_NANOS / 2);
        assertThat(mostCopyNanos).as("copies of a step, if nothing ran beside them").isLessThanOrEqualTo(BLOCKS_PER_FRAME * BLOCK_NANOS);
        assertThat(stepsOfCopies).as("out and back").isGreaterThanOrEqualTo(2 * TOKENS / 128 / BLOCKS_PER_FRAME);
    }

    /// What the test is about: with all copies in one step somebody waits for longer than the target.
    @Test
    void allOfItInOneStepWouldHoldEverybodyUp() {
        play(new HostShape(4, TOKENS / 64));

        assertThat(longestGapNanos).isGreaterThan(2 * GAP_NANOS);
    }

    /// Every copy counts as if the step waited for it, though a GPU makes it beside the step.
    private static long copyNanos(MemoryWork work) {
        long nanos = 0;
        for (List<HostCopy> copies : List.of(work.ins(), work.outs())) {
            for (HostCopy copy : copies) {
                nanos += switch (copy.kind()) {
                    case STATE -> STATE_NANOS;
                    case BLOCK -> BLOCK_NANOS;
                };
            }
        }
        return nanos;
    }

    private static long nanos(Batch batch) {
        double nanos = batch.entries().isEmpty() ? 1e4 : 2e6;
        for (BatchEntry entry : batch.entries()) {
            nanos += entry.source() == TokenSource.PROMPT ? entry.count() * (8e3 + 0.25 * (entry.from() + entry.count() / 2.0))
                    : 2e4 + 0.01 * entry.from();
        }
        return Math.round(nanos);
    }

    private void play(HostShape host) {
        var cache = new FrameCache(FRAMES, host, ReuseEstimate.DEFAULT, new SplittableRandom(1));
        var scheduler = new Scheduler<String>(new SchedulerLimits(READERS + 1, 8192, TOKENS + 1, GAP_NANOS), cache, DecodedStates.SERVE_THEIR_SEQUENCE);
        // given a long sequence that has begun to generate, of the lowest priority
        var large = new Sequence<>(0, new int[TOKENS - 300], 300, false, new Claim(5, ""), "large");
        scheduler.submit(large);
        while (large.generatedTokens() == 0) {
            step(scheduler);
        }
        longestGapNanos = 0;
        lastTokenNanos.clear();

        // when there is no room for the answers of the others
        for (int i = 1; i <= READERS; i++) {
            scheduler.submit(new Sequence<>(i, new int[100 + i], ANSWER, false, Claim.ORDINARY, "reader"));
        }
        boolean left = false;
        while (scheduler.running() + scheduler.waiting() > 0 || large.state() == Sequence.State.SUSPENDED) {
            step(scheduler);
            left |= large.state() == Sequence.State.SUSPENDED;
        }

        // then it has left, has come back, and all have ended
        assertThat(left).isTrue();
        assertThat(large.generatedTokens()).isEqualTo(300);
        assertThat(scheduler.preemptions().copied()).as("it was the only one").isEqualTo(1);
        scheduler.checkInvariants();
    }

    private void step(Scheduler<String> scheduler) {
        Batch batch = scheduler.next();
        assertThat(batch.isEmpty()).as("something to do").isFalse();
        long nanos = nanos(batch) + copyNanos(batch.memory());
        mostCopyNanos = Math.max(mostCopyNanos, copyNanos(batch.memory()));
        stepsOfCopies += copyNanos(batch.memory()) > 0 ? 1 : 0;
        now += nanos;
        var tokens = new SampledTokens(READERS + 1);
        for (int i = 0; i < batch.entries().size(); i++) {
            BatchEntry entry = batch.entries().get(i);
            if (entry.logits() == LogitRows.LAST) {
                tokens.set(i, 7);
                Long last = lastTokenNanos.put(entry.sequence(), now);
                if (last != null && entry.sequence() > 0) {
                    longestGapNanos = Math.max(longestGapNanos, now - last);
                }
            }
        }
        scheduler.complete(batch, tokens);
        scheduler.measured(batch, nanos);
        for (int i = 0; i < batch.entries().size(); i++) {
            Sequence<String> sequence = scheduler.scheduled(batch, i);
            if (sequence.generatedTokens() == sequence.maxTokens()) {
                scheduler.end(sequence);
            }
        }
    }
}
