package dev.sidewinder.kvcache;

import java.util.Map;
import java.util.function.ToLongFunction;

/// What the cache has done so far.
///
/// @param lookupsByReason admissions by why they found no more; every reason is there. [MissReason#DISABLED] did not look
/// @param promptTokens    of those that looked
/// @param kvTokens        tokens of theirs whose keys and values were there
/// @param reusedTokens    tokens of theirs that were not computed again
/// @param statesByPoint   what became of states, by why they are kept; every point is there
/// @param takenOverStates states whose slot became a sequence's own
public record CacheCounts(Map<MissReason, LookupCounts> lookupsByReason, long promptTokens, long kvTokens, long reusedTokens,
        Map<CheckpointPoint, StateCounts> statesByPoint, long takenOverStates) {

    /// @param partly  went on from a kept state
    /// @param missed  began at the first token
    public record LookupCounts(long partly, long missed) {}

    /// @param stored   became part of the tree
    /// @param restored a sequence went on from it
    /// @param evicted  dropped
    /// @param refused  not kept, for want of a frame it would have been worth
    public record StateCounts(long stored, long restored, long evicted, long refused) {}

    /// Admissions that looked for a prefix.
    public long lookups() {
        long sum = 0;
        for (var each : lookupsByReason.entrySet()) {
            sum += each.getKey() == MissReason.DISABLED ? 0 : each.getValue().partly() + each.getValue().missed();
        }
        return sum;
    }

    /// Those that went on from a kept state.
    public long hits() {
        return lookupsByReason.values().stream().mapToLong(LookupCounts::partly).sum();
    }

    public long storedStates() {
        return states(StateCounts::stored);
    }

    public long refusedStates() {
        return states(StateCounts::refused);
    }

    public long evictedStates() {
        return states(StateCounts::evicted);
    }

    private long states(ToLongFunction<StateCounts> event) {
        return statesByPoint.values().stream().mapToLong(event).sum();
    }
}
