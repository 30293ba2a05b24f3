package dev.sidewinder.kvcache;

import java.util.function.Predicate;

/// Finds frames and blocks for those who may have them: what is free, else what comes free by moving blocks together, else
/// what can be evicted from the prefix tree. What comes free with steps under way is waited for rather than evict more.
final class FrameSupply {

    private static final int NONE = PrefixNodes.NONE;

    private final FramePool pool;
    private final PrefixIndex index;
    private final WorkQueue work;
    private final CacheTally tally;

    FrameSupply(FramePool pool, PrefixIndex index, WorkQueue work, CacheTally tally) {
        this.tally = tally;
        this.pool = pool;
        this.index = index;
        this.work = work;
    }

    /// Has a frame emptied where none is free and that takes only moves, so that the next sequence need not wait for it.
    void prepare() {
        if (pool.freeFrames() == 0 && pool.comingFrames() == 0) {
            work.compact();
        }
    }

    /// A slot for a sequence, which can be committed.
    ///
    /// @param source the state that will be copied into it, which is not evicted for it; when no other frame is left, it
    ///               becomes the sequence's own
    /// @return [#NONE] when a frame comes free with steps or work to come
    int takeSlot(int source) {
        if (makeFrame(source, Double.POSITIVE_INFINITY)) {
            return pool.takeSlot();
        }
        boolean last = pool.comingFrames() == 0 && source != NONE && pool.isSlotQuiet(source);
        return last ? source : NONE;
    }

    /// A slot for a state that is to be kept: nobody waits for it, and it displaces only what is worth less.
    ///
    /// @param value what it will be worth
    /// @return [#NONE] when there is none for it
    int slotToKeep(double value) {
        return slotToKeep(NONE, value);
    }

    /// The same where the state comes to be from another one.
    ///
    /// @param source which is not evicted for it
    int slotToKeep(int source, double value) {
        return makeFrame(source, value) ? pool.takeSlot() : NONE;
    }

    /// Sees to it that a frame is free.
    ///
    /// @param kept      the slot of a state that is not evicted for it, or [#NONE]
    /// @param mostWorth only states of less worth are evicted
    /// @return false when there is none, or none yet
    private boolean makeFrame(int kept, double mostWorth) {
        while (pool.freeFrames() == 0) {
            if (pool.comingFrames() > 0 || work.compact()) {
                return false;
            }
            if (!index.evictDead()) {
                int least = index.states().leastWorthy(kept);
                if (least == NONE || index.states().worth(least).value() >= mostWorth) {
                    return false;
                }
                evict(least);
            }
        }
        return true;
    }

    /// Evicts until so many blocks are free, or will be when the steps under way have completed.
    ///
    /// @return whether they are free now
    boolean makeRoom(int blocks) {
        while (pool.freeBlocks() + pool.comingBlocks() < blocks) {
            if (!index.evictDead()) {
                int least = index.states().leastWorthy(NONE);
                if (least == NONE) {
                    throw new IllegalStateException(blocks + " blocks are promised and cannot be had: " + pool.use());
                }
                evict(least);
            }
        }
        return pool.freeBlocks() >= blocks;
    }

    /// Drops all states of some partitions, and the blocks that nobody can use then and no running sequence shares.
    void evictAll(Predicate<Partition> which) {
        // from the end: an eviction moves the last of the list to the place that has become free
        for (int i = index.states().size() - 1; i >= 0; i--) {
            int slot = index.states().get(i);
            if (which.test(index.partition(index.states().node(slot)))) {
                evict(slot);
            }
        }
        evictDead();
    }

    /// Drops the state at a node that was kept for this reason, unless other sequences stand behind it.
    void evictUnlessShared(int node, CheckpointPoint point) {
        if (isOwn(node, point)) {
            evict(index.states().slot(node));
        }
    }

    /// The slot of such a state, for one that takes its place; [#NONE] where there is none, or a step may touch it still.
    int takeOverUnlessShared(int node, CheckpointPoint point) {
        if (!isOwn(node, point) || !pool.isSlotQuiet(index.states().slot(node))) {
            return NONE;
        }
        int slot = index.states().slot(node);
        tally.evicted(point);
        index.detach(slot);
        return slot;
    }

    private boolean isOwn(int node, CheckpointPoint point) {
        return index.states().isAt(node) && index.states().point(index.states().slot(node)) == point && index.standing(node) == 1;
    }

    /// Drops all states on the way to a node.
    void evictPath(int node) {
        for (int depth = index.depth(node); depth > 0; depth--) {
            int each = index.ancestor(node, depth);
            if (index.states().isAt(each)) {
                evict(index.states().slot(each));
            }
        }
    }

    /// Drops the blocks that are of no use.
    void evictDead() {
        boolean more = true;
        while (more) {
            more = index.evictDead();
        }
    }

    private void evict(int slot) {
        tally.evicted(index.states().point(slot));
        index.evictState(slot);
    }
}
