package dev.sidewinder.scheduler;

/// Sequences that had to leave the device before their end, by what was missing and what became of their memory.
///
/// @param suspendedNow sequences that are to come back
/// @param forBlocks    left since one that runs needed a block which was held or promised
/// @param forStates    left since a more urgent one waited for a state, for the blocks of its first piece or for a place in the steps
/// @param overloaded   dropped for good for want of blocks, where computing again would have given other bits
public record Preemptions(int suspendedNow, Left forBlocks, Left forStates, long overloaded) {

    /// How often for one reason.
    ///
    /// @param copied     went to the host area, to come back bit for bit
    /// @param recomputed dropped, to be computed again, where there was no room on the host
    public record Left(long copied, long recomputed) {

        public static final Left NEVER = new Left(0, 0);
    }

    /// Went to the host area, for whatever reason.
    public long copied() {
        return forBlocks.copied() + forStates.copied();
    }

    /// Dropped to be computed again, for whatever reason.
    public long recomputed() {
        return forBlocks.recomputed() + forStates.recomputed();
    }
}
