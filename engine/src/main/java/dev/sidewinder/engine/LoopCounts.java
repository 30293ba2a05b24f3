package dev.sidewinder.engine;

import dev.sidewinder.kvcache.CacheUse;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.scheduler.Preemptions;
import dev.sidewinder.scheduler.PreparationCounts;
import dev.sidewinder.scheduler.Scheduler;

/// The books of the engine thread at one moment, for other threads to read.
///
/// @param oldestSubmittedNanos when the sequence that has waited longest was submitted; 0 when none waits
/// @param progressNanos        when the last step completed or the first work after a rest came; 0 when idle
record LoopCounts(int running, int paused, int waiting, long waitingTokens, long oldestSubmittedNanos, CacheUse cache,
        Preemptions preemptions, PreparationCounts preparations, long steps, long progressNanos, long lateCompletions, long numericFailures) {

    static LoopCounts of(Scheduler<?> scheduler, FrameCache cache, long oldestSubmittedNanos, long steps, long progressNanos,
            long numericFailures) {
        return new LoopCounts(scheduler.running(), scheduler.paused(), scheduler.waiting(), scheduler.waitingTokens(),
                oldestSubmittedNanos, cache.use(), scheduler.preemptions(), scheduler.preparations(), steps, progressNanos, scheduler.lateCompletions(), numericFailures);
    }

    EngineStatus status(EngineStatus.State state, int places, long now) {
        long oldestWaitNanos = oldestSubmittedNanos == 0 ? 0 : now - oldestSubmittedNanos;
        long sinceStepNanos = progressNanos == 0 ? 0 : now - progressNanos;
        return new EngineStatus(state, running, paused, waiting, waitingTokens, oldestWaitNanos, cache, preemptions, preparations, steps, sinceStepNanos,
                places, lateCompletions, numericFailures);
    }
}
