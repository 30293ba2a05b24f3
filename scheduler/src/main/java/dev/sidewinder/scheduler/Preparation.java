package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.Partition;

/// What a prompt to come is expected to begin with: the next turn of a conversation whose last answer stands in it otherwise than it was
/// generated, since templates drop reasoning. Computed when there is nothing better to do ([Preparations]).
///
/// @param partition   whose prompt it will be
/// @param tokens      it begins with these; not to be changed any more
/// @param leastTokens that have to be saved, or it is not worth it
public record Preparation(Partition partition, int[] tokens, int leastTokens) {

    /// Below that a prompt to come waits hardly longer for computing them itself, since the weights are read for its new message anyway
    /// (docs/decisions/0024).
    public static final int LEAST_TOKENS = 2048;

    public Preparation {
        if (leastTokens < 1) {
            throw new IllegalArgumentException("a preparation that saves " + leastTokens + " tokens at least; it has to save something");
        }
    }
}
