package dev.sidewinder.kvcache;

/// What running sequences hold or are promised, in blocks, a state counting as a frame of them: their slots, their blocks, what of the
/// tree their paths keep, and promises. It never exceeds the pool.
///
/// All else is free, fenced, or in the tree and can be evicted, so a sequence within its promise never waits for another one, at
/// most for steps under way. That the sum can be done in blocks is shown at [FramePool].
final class Commitments {

    private final FramePool pool;
    private final PrefixIndex index;
    private int promised;
    private int sequences;

    Commitments(FramePool pool, PrefixIndex index) {
        this.pool = pool;
        this.index = index;
    }

    /// Sequences that hold memory.
    int sequences() {
        return sequences;
    }

    /// Blocks that they may still grow into.
    int promised() {
        return promised;
    }

    /// What they hold or are promised.
    int blocks() {
        int runningSlots = pool.heldSlots() - index.states().size();
        return runningSlots * pool.shape().blocksPerFrame() + pool.heldBlocks() - index.unlockedBlocks() + promised;
    }

    /// Whether so many blocks could be promised besides.
    boolean fits(int more) {
        return (long) blocks() + more <= pool.shape().blocks();
    }

    /// Whether somebody could be promised a state and so many blocks of its own.
    boolean canBegin(int blocks) {
        return (long) blocks() + pool.shape().blocksPerFrame() + blocks <= pool.shape().blocks();
    }

    /// One more sequence holds memory.
    ///
    /// @param blocks it is promised
    void begin(int blocks) {
        promised += blocks;
        sequences++;
    }

    /// A promise becomes larger, or smaller as blocks are taken.
    void promise(int blocks) {
        promised += blocks;
    }

    /// A sequence ends.
    ///
    /// @param blocks that it was promised still
    void end(int blocks) {
        promised -= blocks;
        sequences--;
    }

    /// @throws IllegalStateException when the books do not balance
    void checkInvariants() {
        if (promised < 0 || sequences < 0 || blocks() > pool.shape().blocks()) {
            throw new IllegalStateException(blocks() + " blocks are committed to " + sequences + " sequences, " + promised
                    + " of them promised, of " + pool.shape().blocks());
        }
    }
}
