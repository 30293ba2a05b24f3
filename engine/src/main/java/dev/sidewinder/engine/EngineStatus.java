package dev.sidewinder.engine;

/// A snapshot of the engine for health and metrics.
///
/// @param state          what it does
/// @param running        sequences in the batch
/// @param waiting        sequences accepted and not in the batch
/// @param waitingTokens  their prompt tokens
/// @param oldestWaitNanos how long the oldest of them has waited
/// @param blocks         KV blocks in all
/// @param freeBlocks     of these nobody holds
/// @param fencedBlocks   given back, but a launched step may still touch them
/// @param slots          state slots in all
/// @param freeSlots      of these nobody holds
/// @param fencedSlots    given back, but a launched step may still touch them
/// @param steps          steps completed
/// @param places         queue places reserved and not yet submitted
public record EngineStatus(State state, int running, int waiting, long waitingTokens, long oldestWaitNanos, int blocks,
        int freeBlocks, int fencedBlocks, int slots, int freeSlots, int fencedSlots, long steps, int places) {

    public enum State {
        SERVING, DRAINING, FAILED, CLOSED
    }
}
