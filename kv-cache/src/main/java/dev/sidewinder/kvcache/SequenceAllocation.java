package dev.sidewinder.kvcache;

import java.util.Arrays;

/// The memory of one running sequence, given out by [SequenceCache#admit] and closed exactly once. Blocks are taken as
/// the sequence grows into them, so a sequence of a million tokens costs nothing until it is that long.
public final class SequenceAllocation implements Allocation, AutoCloseable {

    private final SequenceCache cache;
    private final int slot;
    private int[] blocks;
    private int blockCount;
    private int promisedBlocks;
    private boolean closed;

    SequenceAllocation(SequenceCache cache, int slot, int promisedBlocks) {
        this.cache = cache;
        this.slot = slot;
        this.blocks = new int[Math.min(promisedBlocks, 16)];
        this.promisedBlocks = promisedBlocks;
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
            throw new IndexOutOfBoundsException("block " + i + " of an allocation of " + blockCount);
        }
        return blocks[i];
    }

    /// Blocks it may still grow into without asking.
    public int promisedBlocks() {
        return promisedBlocks;
    }

    /// Makes the blocks cover the first `tokens` tokens of the sequence, for the next piece. Within what was promised at
    /// admission the answer is always [Growth#GRANTED].
    public Growth reserve(int tokens) {
        requireOpen("reserved more blocks for");
        int missing = CacheShape.blocksFor(tokens) - blockCount;
        if (missing <= 0) {
            return Growth.GRANTED;
        }
        int unpromised = missing - promisedBlocks;
        if (unpromised > 0) {
            if (unpromised > cache.blocks().available()) {
                return Growth.NO_ROOM;
            }
            cache.blocks().promise(unpromised);
            promisedBlocks += unpromised;
        }
        if (blockCount + missing > blocks.length) {
            blocks = Arrays.copyOf(blocks, Math.max(blockCount + missing, 2 * blocks.length));
        }
        for (int i = 0; i < missing; i++) {
            blocks[blockCount++] = cache.blocks().takePromised();
        }
        promisedBlocks -= missing;
        return Growth.GRANTED;
    }

    public boolean isClosed() {
        return closed;
    }

    /// Gives everything back. It becomes free when every step launched so far has completed.
    ///
    /// @throws IllegalStateException when closed before: somebody else may own the blocks by now
    @Override
    public void close() {
        requireOpen("closed twice");
        closed = true;
        cache.giveBack(this);
    }

    private void requireOpen(String deed) {
        if (closed) {
            throw new IllegalStateException(deed + " an allocation that is closed: slot " + slot + ", " + blockCount + " blocks");
        }
    }
}
