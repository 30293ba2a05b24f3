package dev.sidewinder.kvcache;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Optional;

/// The memory of one running sequence: its slot, its blocks, and where it stands in the prefix tree. Given out by
/// [FrameCache], closed exactly once.
///
/// Whole blocks may be shared with other sequences and the tree, since nobody writes to them again; the block under the pen
/// never is. Which place a block has can change from step to step: ask [#block] for each step anew.
public final class SequenceMemory implements Allocation, AutoCloseable {

    /// A state that a step to be launched or under way keeps.
    ///
    /// @param latest whether it takes the place of the one that was kept so before
    record Pending(int position, int slot, CheckpointPoint point, boolean latest) {}

    private final FrameCache cache;
    private final int slot;
    private final int reusedTokens;
    private final int knownTokens;
    private int[] names;
    private int blockCount;
    /// Blocks it may still grow into.
    private int promised;
    /// Where it stands in the tree; [PrefixNodes#NONE] when it leaves nothing there.
    private int node;
    private final ArrayDeque<Pending> pending = new ArrayDeque<>(2);
    /// Where the latest state stands that the next such one takes the place of; 0 when there is none.
    private int latestPosition;
    /// Null when all of it is here.
    private Arrival arrival;
    private boolean closed;

    /// @param names      blocks it begins with, already held for it
    /// @param blockCount how many
    SequenceMemory(FrameCache cache, int slot, int reusedTokens, int knownTokens, int[] names, int blockCount, int promised, int node) {
        this.cache = cache;
        this.slot = slot;
        this.reusedTokens = reusedTokens;
        this.knownTokens = knownTokens;
        this.names = names;
        this.blockCount = blockCount;
        this.promised = promised;
        this.node = node;
    }

    @Override
    public int slot() {
        return slot;
    }

    @Override
    public int blockCount() {
        return blockCount;
    }

    @Override
    public int block(int i) {
        if (i >= blockCount) {
            throw new IndexOutOfBoundsException("block " + i + " of a sequence's " + blockCount);
        }
        return cache.pool().place(names[i]);
    }

    /// Tokens at the start that need not be computed: state and blocks of them were there.
    public int reusedTokens() {
        return reusedTokens;
    }

    /// Tokens at the start whose keys and values were there, with or without a state at their end: where they end, the sequence
    /// takes leave of others.
    public int knownTokens() {
        return knownTokens;
    }

    /// Blocks it may still grow into without asking.
    public int promisedBlocks() {
        return promised;
    }

    /// Makes the blocks cover tokens `[from, to)`, which the next step will write. One that comes back from the host waits until that
    /// step brings the last of it.
    ///
    /// @throws IllegalStateException when it would write into a block that others hold, too
    public Growth reserve(int from, int to) {
        requireOpen("reserved blocks for");
        if (arrival != null && !cache.suspensions().traffic().comesNext(arrival)) {
            return Growth.AFTER_STEPS;
        }
        for (int i = from / CacheShape.BLOCK_TOKENS; i < Math.min(blockCount, CacheShape.blocksFor(to)); i++) {
            if (cache.pool().holders(names[i]) != 1) {
                throw new IllegalStateException("tokens " + from + " to " + to + " would be written into block " + i
                        + ", which has " + cache.pool().holders(names[i]) + " holders");
            }
        }
        int missing = CacheShape.blocksFor(to) - blockCount;
        return missing <= 0 ? Growth.GRANTED : cache.changes().grow(this, missing);
    }

    /// Has the state kept that the sequence passes in the next step, or has reached at its end. The step itself writes it; it serves
    /// others when that step has completed ([#computed]).
    ///
    /// @param position tokens of the sequence then: a multiple of 128, above those that are kept already
    /// @return what the step has to write, which must be part of the next one launched; empty when the state is not kept: there may
    ///         be no frame that it would be worth, and a sequence without a partition keeps nothing
    public Optional<StateWrite> checkpoint(int position, CheckpointPoint point) {
        requireAbove(position);
        int slot = node == PrefixNodes.NONE ? PrefixNodes.NONE : cache.states().slotToWrite(this, position, point);
        if (slot == PrefixNodes.NONE) {
            return Optional.empty();
        }
        pending.addLast(new Pending(position, slot, point, false));
        return Optional.of(new StateWrite(position, slot));
    }

    /// Has the state copied behind the next step that the sequence will have reached then, where only the latest such state is of
    /// use: when it is kept, the one goes that was kept so before, unless other sequences have gone on from there.
    ///
    /// @return whether it will be kept, as for [#checkpoint]
    public boolean checkpointLatest(int position, CheckpointPoint point) {
        requireAbove(position);
        int kept = node == PrefixNodes.NONE ? PrefixNodes.NONE : cache.states().slotToCopy(this, position, point);
        if (kept == PrefixNodes.NONE) {
            return false;
        }
        pending.addLast(new Pending(position, kept, point, true));
        return true;
    }

    private void requireAbove(int position) {
        requireOpen("kept a state of");
        int last = keptTokens();
        if (position % CacheShape.BLOCK_TOKENS != 0 || position <= last) {
            throw new IllegalArgumentException("a state at " + position + " tokens, where one at " + last + " is kept; it has to be a"
                    + " multiple of " + CacheShape.BLOCK_TOKENS + " above");
        }
    }

    /// Where the last of its states stands that is kept or about to be.
    private int keptTokens() {
        if (!pending.isEmpty()) {
            return pending.getLast().position();
        }
        return node == PrefixNodes.NONE ? 0 : cache.states().depth(node) * CacheShape.BLOCK_TOKENS;
    }

    /// Notes that steps of the sequence have completed: what it was asked to keep becomes part of the prefix tree.
    ///
    /// @param tokens   of the sequence
    /// @param computed tokens computed by completed steps
    public void computed(int[] tokens, int computed) {
        requireOpen("noted steps of");
        while (!pending.isEmpty() && pending.getFirst().position() <= computed) {
            Pending next = pending.removeFirst();
            node = cache.states().publish(node, tokens, names, next);
            if (next.latest()) {
                cache.states().dropLatest(node, latestPosition, next.point());
                latestPosition = next.position();
            }
        }
    }

    /// A second sequence with the same first `computed` tokens and a state of its own.
    ///
    /// Whole blocks are shared. The block that both would write to is copied with the next step, and so is the state.
    ///
    /// @param tokens        of the sequence
    /// @param computed      tokens that the sequence has computed; none of its steps is under way, so its state is the one after
    ///                      them
    /// @param promiseTokens as in [MemoryWish]
    public MemoryAdmission fork(int[] tokens, int computed, int promiseTokens) {
        requireOpen("forked");
        return cache.changes().fork(this, tokens, computed, promiseTokens);
    }

    /// Closes it after a computation that has gone wrong, nobody knows since when: nothing that was kept of the sequence's
    /// tokens, or that it went on from, is used again.
    ///
    /// @return its slot, and those of its blocks that nobody shares: to be erased before the next step is launched
    public Allocation discard() {
        requireOpen("discarded");
        cache.states().distrust(this);
        node = PrefixNodes.NONE;
        int[] own = Arrays.stream(names, 0, blockCount).filter(name -> cache.pool().holders(name) == 1).map(cache.pool()::place).toArray();
        close();
        return new Places(slot, own);
    }

    private record Places(int slot, int[] blocks) implements Allocation {

        @Override
        public int blockCount() {
            return blocks.length;
        }

        @Override
        public int block(int i) {
            return blocks[i];
        }
    }

    /// Moves everything to the host area with the next steps, and closes this. A state that was to be kept is not.
    ///
    /// @return empty when there is no room for it in the host area; nothing has changed then
    public Optional<SuspendedMemory> suspend() {
        return suspend(new int[0]);
    }

    /// The same for a sequence that went on from a suspended one, of which a part is held still: what they have in common stays
    /// where it is, and only the rest is copied.
    ///
    /// @param base         what it went on from, or something that shares its places
    /// @param commonBlocks its first blocks, to which nothing has been written since
    public Optional<SuspendedMemory> suspend(SuspendedMemory base, int commonBlocks) {
        return suspend(Arrays.copyOf(base.blocks(), commonBlocks));
    }

    private Optional<SuspendedMemory> suspend(int[] there) {
        requireOpen("suspended");
        Optional<SuspendedMemory> suspended = cache.changes().suspend(this, there);
        closed = suspended.isPresent();
        return suspended;
    }

    /// Closes it and leaves its state to others, none of whose steps is under way.
    ///
    /// @param tokens   of the sequence
    /// @param position that it has reached: a multiple of 128
    public void leaveState(int[] tokens, int position, CheckpointPoint point) {
        requireAbove(position);
        if (node == PrefixNodes.NONE) {
            throw new IllegalStateException("a sequence without a partition leaves its state");
        }
        closed = true;
        boolean taken = cache.states().takeOver(this, tokens, position, point);
        cache.changes().giveBack(this, taken);
    }

    public boolean isClosed() {
        return closed;
    }

    /// Gives everything back. What a launched step may touch is free when every step launched so far has completed.
    ///
    /// @throws IllegalStateException when closed before: somebody else may own the blocks by now
    @Override
    public void close() {
        requireOpen("closed");
        closed = true;
        cache.changes().giveBack(this);
    }

    private void requireOpen(String deed) {
        if (closed) {
            throw new IllegalStateException(deed + " a sequence whose memory was given back: slot " + slot + ", " + blockCount + " blocks");
        }
    }

    // For the cache.

    void isOnItsWay(Arrival from) {
        arrival = from;
    }

    void isHere() {
        arrival = null;
    }

    boolean isOnItsWay() {
        return arrival != null;
    }

    /// Null when all of it is here.
    Arrival arrival() {
        return arrival;
    }

    /// Stands at this depth of the tree from now on, or deeper. A block that two sequences share must lie on the paths of
    /// both before the tree may hold it, or the tree would count it as its own when one of them has ended.
    void walk(int[] tokens, int depth) {
        if (node != PrefixNodes.NONE) {
            node = cache.states().walk(node, tokens, depth, names);
        }
    }

    int name(int i) {
        return names[i];
    }

    int node() {
        return node;
    }

    /// Where the state stands that the next [#checkpointLatest] takes the place of; 0 when there is none.
    int latestPosition() {
        return latestPosition;
    }

    ArrayDeque<Pending> pending() {
        return pending;
    }

    void addPromise(int blocks) {
        promised += blocks;
    }

    void addBlock(int name) {
        if (blockCount == names.length) {
            names = Arrays.copyOf(names, Math.max(16, 2 * blockCount));
        }
        names[blockCount++] = name;
    }
}
