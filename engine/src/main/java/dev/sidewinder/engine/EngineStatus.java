package dev.sidewinder.engine;

/// A snapshot of the engine for health and metrics, as of the last completed step or command.
///
/// @param state           what it does
/// @param running         sequences that take part in steps
/// @param paused          sequences that keep their memory and wait for a slow reader
/// @param waiting         sequences accepted and without memory
/// @param waitingTokens   their prompt tokens
/// @param oldestWaitNanos how long the oldest of them has waited
/// @param blocks          KV blocks in all
/// @param freeBlocks      of these nobody holds
/// @param promisedBlocks  free ones that running sequences will grow into
/// @param fencedBlocks    given back, but a launched step may still touch them
/// @param slots           state slots in all
/// @param freeSlots       of these nobody holds
/// @param fencedSlots     given back, but a launched step may still touch them
/// @param steps           steps completed
/// @param sinceStepNanos  time since the last completed step (or the first submission after a rest); 0 when idle
/// @param places          sequences with a place reserved and not yet submitted
/// @param lateCompletions entries of steps whose sequence had ended meanwhile
/// @param numericFailures requests that failed for NaN or infinity
public record EngineStatus(State state, int running, int paused, int waiting, long waitingTokens, long oldestWaitNanos,
        int blocks, int freeBlocks, int promisedBlocks, int fencedBlocks, int slots, int freeSlots, int fencedSlots,
        long steps, long sinceStepNanos, int places, long lateCompletions, long numericFailures) {

    public enum State {
        SERVING, DRAINING, FAILED, CLOSED
    }

    /// The fraction of the cache that live sequences hold: the larger of blocks and slots, promised blocks included.
    public double cacheUsage() {
        double blockUsage = 1 - (double) (freeBlocks - promisedBlocks) / blocks;
        double slotUsage = 1 - (double) freeSlots / slots;
        return Math.max(blockUsage, slotUsage);
    }

    /// Whether nothing is reserved, waiting, running or held.
    public boolean atRest() {
        return running + paused + waiting + places == 0 && freeBlocks == blocks && promisedBlocks == 0
                && freeSlots == slots;
    }
}
