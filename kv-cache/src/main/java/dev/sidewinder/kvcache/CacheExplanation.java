package dev.sidewinder.kvcache;

import java.util.Optional;
import java.util.OptionalInt;

/// What the cache has for a prompt, and why not more. Says nothing about partitions other than the asking one's.
///
/// @param kvTokens    longest prefix whose keys and values are there
/// @param reusedTokens longest such prefix with a state at its end: these need not be computed
/// @param point       why that state was kept; empty where there is none
/// @param reason      why it is not all but the last block
/// @param divergedAt  first token in which the prompt differs from the nearest known sequence; with [MissReason#DIVERGED]
public record CacheExplanation(int kvTokens, int reusedTokens, Optional<CheckpointPoint> point, MissReason reason,
        OptionalInt divergedAt) {

    /// For requests that use no prefixes.
    public static final CacheExplanation DISABLED = new CacheExplanation(0, 0, Optional.empty(), MissReason.DISABLED,
            OptionalInt.empty());
}
