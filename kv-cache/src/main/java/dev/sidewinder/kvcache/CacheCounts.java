package dev.sidewinder.kvcache;

/// What the cache has done so far.
///
/// @param lookups          admissions that looked for a prefix
/// @param hits             those that went on from a kept state
/// @param promptTokens     of those that looked
/// @param kvTokens         tokens of theirs whose keys and values were there
/// @param reusedTokens     tokens of theirs that were not computed again
/// @param storedStates     states that were kept
/// @param refusedStates    states that were not, for want of a frame they would have been worth
/// @param evictedStates    states that were dropped
/// @param takenOverStates  states whose slot became a sequence's own
public record CacheCounts(long lookups, long hits, long promptTokens, long kvTokens, long reusedTokens, long storedStates,
        long refusedStates, long evictedStates, long takenOverStates) {}
