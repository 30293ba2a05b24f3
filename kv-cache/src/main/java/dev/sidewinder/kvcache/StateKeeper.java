package dev.sidewinder.kvcache;

import dev.sidewinder.kvcache.SequenceMemory.Pending;

/// Keeps states of running sequences for those to come: sees whether one is worth a frame, and gives it to the prefix tree when the
/// step that writes it has completed.
final class StateKeeper {

    private static final int NONE = PrefixNodes.NONE;

    private final CacheParts cache;
    private final PrefixIndex index;

    StateKeeper(CacheParts cache) {
        this.cache = cache;
        this.index = cache.index();
    }

    /// A slot for a state of a sequence that the step to come writes; [PrefixNodes#NONE] when there is none that it would be worth.
    int slotToWrite(SequenceMemory memory, int position, CheckpointPoint point) {
        int slot = counted(cache.commitments().canBegin(0) ? slotWorth(memory, position, point) : NONE, point);
        if (slot != NONE) {
            cache.work().writeInStep(slot);
        }
        return slot;
    }

    /// A slot into which the state of a sequence is copied when the step to come has run, in the place of the one that was kept so
    /// before; [PrefixNodes#NONE] when there is none.
    int slotToCopy(SequenceMemory memory, int position, CheckpointPoint point) {
        int slot = counted(cache.commitments().canBegin(0) ? slotOfLatest(memory, position, point) : NONE, point);
        if (slot != NONE) {
            cache.work().store(memory.slot(), slot);
        }
        return slot;
    }

    private int counted(int slot, CheckpointPoint point) {
        if (slot == NONE) {
            cache.tally().refused(point);
        }
        return slot;
    }

    /// A free frame, or where there is none that of the state which the new one takes the place of, or of one that is worth less.
    private int slotOfLatest(SequenceMemory memory, int position, CheckpointPoint point) {
        if (memory.latestPosition() > 0 && cache.pool().freeFrames() == 0) {
            int latest = index.ancestor(memory.node(), memory.latestPosition() / CacheShape.BLOCK_TOKENS);
            int before = cache.supply().takeOverUnlessShared(latest, point);
            if (before != NONE) {
                return before;
            }
        }
        return slotWorth(memory, position, point);
    }

    /// Without it a sequence would fall back to the state before, which may be one that is about to be kept.
    private int slotWorth(SequenceMemory memory, int position, CheckpointPoint point) {
        return cache.supply().slotToKeep(index.states().worth(point, position / CacheShape.BLOCK_TOKENS, baseOf(memory)).value());
    }

    /// A slot for a sequence that leads towards a state which will be worth a frame; [PrefixNodes#NONE] where there is none.
    ///
    /// @param match     what it goes on from, at `node`
    /// @param goal      tokens of that state
    /// @param ownTokens where the state stands that it may take over, since nobody else goes on from there; 0 = there is none
    int slotTowards(PrefixMatch match, int node, int goal, int ownTokens) {
        boolean own = match.hasState() && match.stateTokens() == ownTokens && index.isLast(node);
        if (own && cache.pool().isSlotQuiet(match.slot())) {
            return match.slot();
        }
        int base = match.stateTokens() / CacheShape.BLOCK_TOKENS;
        double worth = index.states().worth(CheckpointPoint.TURN_END, goal / CacheShape.BLOCK_TOKENS, base).value();
        return cache.supply().slotToKeep(match.slot(), worth);
    }

    /// Gives the tree the very slot of a sequence that ends at a position.
    ///
    /// @return false where it has a state there already
    boolean takeOver(SequenceMemory memory, int[] tokens, int position, CheckpointPoint point) {
        int depth = position / CacheShape.BLOCK_TOKENS;
        memory.walk(tokens, depth);
        int there = index.ancestor(memory.node(), depth);
        if (!index.attach(there, memory.slot(), point)) {
            return false;
        }
        index.supersedeBefore(there);
        cache.tally().stored(point);
        return true;
    }

    private int baseOf(SequenceMemory memory) {
        if (!memory.pending().isEmpty()) {
            return memory.pending().getLast().position() / CacheShape.BLOCK_TOKENS;
        }
        int node = memory.node();
        return index.states().isAt(node) ? index.depth(node) : index.states().baseDepth(node);
    }

    /// Leads a sequence on in the tree, to a depth or deeper.
    int walk(int node, int[] tokens, int depth, int[] names) {
        return index.extend(node, tokens, depth, names);
    }

    int depth(int node) {
        return index.depth(node);
    }

    /// Leads a sequence to a position where its state was kept, and gives the state to the tree.
    int publish(int node, int[] tokens, int[] names, Pending pending) {
        int depth = pending.position() / CacheShape.BLOCK_TOKENS;
        int reached = index.extend(node, tokens, depth, names);
        int there = index.ancestor(reached, depth);
        if (index.attach(there, pending.slot(), pending.point())) {
            index.supersedeBefore(there);
            cache.tally().stored(pending.point());
        } else {
            cache.pool().giveBackSlot(pending.slot());
        }
        return reached;
    }

    /// Drops the state at a position on the way to a node that was kept for a reason, if nobody else goes on from there.
    void dropLatest(int node, int position, CheckpointPoint point) {
        if (position > 0) {
            cache.supply().evictUnlessShared(index.ancestor(node, position / CacheShape.BLOCK_TOKENS), point);
        }
    }

    /// Drops all states on the path of a sequence, takes it off the tree, and drops what is of no use then.
    void distrust(SequenceMemory memory) {
        if (memory.node() == NONE) {
            return;
        }
        cache.supply().evictPath(memory.node());
        index.leave(memory.node());
        cache.supply().evictDead();
    }
}
