package dev.sidewinder.kvcache;

/// What a [FrameCache] is used for at one moment, and what it has done, for an operator.
///
/// @param shape              what there is
/// @param frames             what the frames hold
/// @param committedBlocks    what running sequences hold or are promised, a state counting as a frame of blocks
/// @param promisedBlocks     of these, those they may still grow into
/// @param keptStates         states in the prefix tree
/// @param keptBlocks         blocks that only the tree holds
/// @param suspendedSequences in the host area
/// @param suspendedBlocks    in the host area
/// @param counts             what was done so far
public record CacheUse(FrameShape shape, FrameUse frames, int committedBlocks, int promisedBlocks, int keptStates, int keptBlocks,
        int suspendedSequences, int suspendedBlocks, CacheCounts counts) {

    /// States of sequences that have memory.
    public int runningStates() {
        return frames.stateFrames() - keptStates;
    }

    /// Blocks that running sequences hold.
    public int runningBlocks() {
        return frames.heldBlocks() - keptBlocks;
    }

    /// Blocks that could be taken at once, those of free frames included.
    public int freeBlocks() {
        return frames.freeFrames() * shape.blocksPerFrame() + frames.strandedBlocks();
    }

    /// The fraction of the pool that running sequences hold or are promised. What can be evicted counts as free.
    public double committed() {
        return (double) committedBlocks / shape.blocks();
    }

    /// Whether nothing runs, is suspended, or waits for a step: all that is held can be evicted.
    public boolean atRest() {
        return committedBlocks == 0 && suspendedSequences == 0 && frames.fencedBlocks() == 0 && frames.fencedStates() == 0;
    }
}
