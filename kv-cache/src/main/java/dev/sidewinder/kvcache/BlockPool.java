package dev.sidewinder.kvcache;

/// The KV blocks. A block is free, fenced or held by one allocation; of the free ones some are promised to allocations
/// that will grow into them, so growth within a promise never fails.
public final class BlockPool {

    private final FencedIndices blocks;
    private int promised;

    BlockPool(int count) {
        this.blocks = new FencedIndices("KV block", count);
    }

    /// Blocks in all.
    public int size() {
        return blocks.size();
    }

    /// Blocks nobody holds; some of them may be promised.
    public int free() {
        return blocks.free();
    }

    /// Blocks given back that a launched step may still touch.
    public int fenced() {
        return blocks.fenced();
    }

    /// Free blocks that belong to running allocations which have not grown into them yet.
    public int promised() {
        return promised;
    }

    /// Blocks that a new allocation can be promised.
    public int available() {
        return blocks.free() - promised;
    }

    void promise(int count) {
        if (count > available()) {
            throw new IllegalStateException("promised " + count + " blocks where " + available() + " are available");
        }
        promised += count;
    }

    void breakPromise(int count) {
        if (count > promised) {
            throw new IllegalStateException("took back a promise of " + count + " blocks where " + promised + " are promised");
        }
        promised -= count;
    }

    int takePromised() {
        breakPromise(1);
        return blocks.take();
    }

    void giveBack(int block, StepFence fence) {
        if (fence.open()) {
            blocks.giveBack(block);
        } else {
            blocks.giveBackAfter(block, fence.launched());
        }
    }

    void completed(long step) {
        blocks.completed(step);
    }

    void checkInvariants() {
        blocks.checkInvariants();
        if (promised < 0 || promised > blocks.free()) {
            throw new IllegalStateException(promised + " blocks are promised where " + blocks.free() + " are free");
        }
    }
}
