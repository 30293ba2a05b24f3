package dev.sidewinder.engine;

import dev.sidewinder.kvcache.CacheUse;
import dev.sidewinder.scheduler.Preemptions;
import dev.sidewinder.scheduler.PreparationCounts;

/// A snapshot of the engine for health and metrics, as of the last completed step or command.
///
/// @param state           what it does
/// @param running         sequences that take part in steps
/// @param paused          sequences that keep their memory and wait for a slow reader
/// @param waiting         sequences accepted and without memory
/// @param waitingTokens   their prompt tokens
/// @param oldestWaitNanos how long the oldest of them has waited
/// @param cache           what the memory of sequences is used for
/// @param preemptions     sequences that had to leave the device before their end
/// @param preparations    what is computed of prompts that are expected
/// @param steps           steps completed
/// @param sinceStepNanos  time since the last completed step (or the first submission after a rest); 0 when idle
/// @param places          sequences with a place reserved and not yet submitted
/// @param lateCompletions entries of steps whose sequence had ended meanwhile
/// @param numericFailures requests that failed for NaN or infinity
public record EngineStatus(State state, int running, int paused, int waiting, long waitingTokens, long oldestWaitNanos,
        CacheUse cache, Preemptions preemptions, PreparationCounts preparations, long steps, long sinceStepNanos, int places, long lateCompletions, long numericFailures) {

    public enum State {
        SERVING, DRAINING, FAILED, CLOSED
    }

    /// Whether nothing is reserved, waiting, running or held; what can be evicted is not held.
    public boolean atRest() {
        return running + paused + waiting + places + preemptions.suspendedNow() == 0 && cache.atRest();
    }
}
