package dev.sidewinder.kvcache;

/// Why a sequence did not go on further into its prompt than it did.
public enum MissReason {
    /// it went on as far as a sequence can: all but the block of the last token
    NONE,
    /// the prompt is too short to go on anywhere
    SHORT,
    /// neither this nor another prompt with the same beginning is known
    COLD,
    /// the nearest known sequence has other tokens from some point on, or ends there
    DIVERGED,
    /// keys and values go on, and no state was kept there
    NO_SNAPSHOT,
    /// keys and values go on, and a state that was kept there has been evicted
    EVICTED_STATE,
    /// keys and values that were there have been evicted
    EVICTED_KV,
    /// the request may not use the prefixes of others
    DISABLED
}
