package dev.sidewinder.engine;

import dev.sidewinder.kvcache.SequenceCache;
import dev.sidewinder.scheduler.Scheduler;

/// The books of the engine thread at one moment, for other threads to read.
///
/// @param oldestSubmittedNanos when the sequence that has waited longest was submitted; 0 when none waits
/// @param progressNanos        when the last step completed or the first work after a rest came; 0 when idle
record LoopCounts(int running, int paused, int waiting, long waitingTokens, long oldestSubmittedNanos, int blocks,
        int freeBlocks, int promisedBlocks, int fencedBlocks, int slots, int freeSlots, int fencedSlots, long steps,
        long progressNanos, long lateCompletions, long numericFailures) {

    static LoopCounts of(Scheduler<?> scheduler, SequenceCache cache, long oldestSubmittedNanos, long steps,
            long progressNanos, long numericFailures) {
        return new LoopCounts(scheduler.running(), scheduler.paused(), scheduler.waiting(), scheduler.waitingTokens(),
                oldestSubmittedNanos, cache.blocks().size(), cache.blocks().free(), cache.blocks().promised(),
                cache.blocks().fenced(), cache.slots().size(), cache.slots().free(), cache.slots().fenced(), steps,
                progressNanos, scheduler.lateCompletions(), numericFailures);
    }

    EngineStatus status(EngineStatus.State state, int places, long now) {
        long oldestWaitNanos = oldestSubmittedNanos == 0 ? 0 : now - oldestSubmittedNanos;
        long sinceStepNanos = progressNanos == 0 ? 0 : now - progressNanos;
        return new EngineStatus(state, running, paused, waiting, waitingTokens, oldestWaitNanos, blocks, freeBlocks,
                promisedBlocks, fencedBlocks, slots, freeSlots, fencedSlots, steps, sinceStepNanos, places,
                lateCompletions, numericFailures);
    }
}
