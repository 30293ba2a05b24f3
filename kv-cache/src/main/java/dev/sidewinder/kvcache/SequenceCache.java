package dev.sidewinder.kvcache;

import java.util.Optional;

/// Gives sequences their memory, a state slot and KV blocks, and takes it back. One thread.
///
/// Steps may be under way while this class is called. Memory that comes back is fenced with the newest launched step and
/// is given out again only after that step has completed, so no step ever writes into the memory of a later owner.
public final class SequenceCache {

    private final BlockPool blocks;
    private final StateSlots slots;
    private final StepFence fence = new StepFence();
    private int allocations;

    public SequenceCache(CacheShape shape) {
        this.blocks = new BlockPool(shape.blocks());
        this.slots = new StateSlots(shape.slots());
    }

    public BlockPool blocks() {
        return blocks;
    }

    public StateSlots slots() {
        return slots;
    }

    /// Allocations not closed yet.
    public int allocations() {
        return allocations;
    }

    /// Takes a slot and promises blocks for a sequence of up to `tokens` tokens; empty when there is no room now.
    /// The allocation starts without blocks: see [SequenceAllocation#reserve].
    public Optional<SequenceAllocation> admit(int tokens) {
        int needed = CacheShape.blocksFor(tokens);
        if (slots.free() == 0 || needed > blocks.available()) {
            return Optional.empty();
        }
        blocks.promise(needed);
        allocations++;
        return Optional.of(new SequenceAllocation(this, slots.take(), needed));
    }

    void giveBack(SequenceAllocation allocation) {
        blocks.breakPromise(allocation.promisedBlocks());
        // The last block first: it is the first to be given out again, and the first block of a sequence is touched most.
        for (int i = allocation.blockCount() - 1; i >= 0; i--) {
            blocks.giveBack(allocation.block(i), fence);
        }
        slots.giveBack(allocation.slot(), fence);
        allocations--;
    }

    /// A step has been launched: it may touch everything that is held now.
    ///
    /// @param step its number, above all earlier ones
    public void stepLaunched(long step) {
        fence.launch(step);
    }

    /// A step has completed: what came back since its launch and before the next one is free.
    public void stepCompleted(long step) {
        fence.complete(step);
        blocks.completed(step);
        slots.completed(step);
    }

    /// @throws IllegalStateException when the books do not balance
    public void checkInvariants() {
        blocks.checkInvariants();
        slots.checkInvariants();
        int runningSlots = slots.size() - slots.free() - slots.fenced();
        if (runningSlots != allocations) {
            throw new IllegalStateException(allocations + " allocations hold " + runningSlots + " slots");
        }
        if (fence.open() && (blocks.fenced() > 0 || slots.fenced() > 0)) {
            throw new IllegalStateException(blocks.fenced() + " blocks and " + slots.fenced() + " slots are fenced with no step under way");
        }
    }
}
