package dev.sidewinder.kvcache;

import java.util.List;

/// The frames of a pool: which are free, which hold a state, which hold blocks, and what waits for a step. One thread.
///
/// **The border moves.** Any free frame becomes a state slot or a run of blocks, and a frame whose last block has come back
/// is free again.
///
/// **Fragmentation is bounded.** A frame with a single block in it cannot hold a state. Without moving blocks no placement
/// could bound what is lost so: whoever frees all blocks but one of each frame strands nearly everything. So blocks are
/// moved ([#compact]), and with `R` blocks in a frame this holds whatever happened before:
///
/// > Once `R` blocks are free inside KV frames, one of these frames can be emptied by moving fewer than `R` blocks. So
/// > after moving, fewer than `R` blocks, less than one frame, are free and yet of no use for a state.
///
/// Proof: let `S >= R` blocks be free inside KV frames, and let `v` be a frame with `f >= 1` of them and `h` blocks held, so
/// `f + h <= R`. The other KV frames have `S - f >= R - f >= h` free blocks: room for all `h < R` blocks of `v`, which holds
/// nothing afterwards.
///
/// Moves are few: fences aside, at most one for each block that comes back. The number of places that are not held, outside
/// the emptiest frame, falls with each move; a block that comes back raises it by one, and a block that is taken does not
/// raise it, since it goes to the fullest frame, and to a new one only when that number is zero.
///
/// A free block is never of no use for blocks. So sums can be done in blocks alone, a state counting as `R` of them: what
/// fits by that sum fits, at the latest after one move.
///
/// **Reuse waits for steps.** What comes back while a launched step may touch it is fenced until that step has completed.
/// For every place the newest such step is known ([#touchSlot], [#touchBlock]), so memory that only the cache has held for
/// a while is free at once.
public final class FramePool {

    private final FrameShape shape;
    private final StepFence fence;
    private final FrameStack frames;
    private final KvFrames blocks;

    private final long[] slotTouched;
    private final FenceQueue fencedSlots;
    private int heldSlots;

    FramePool(FrameShape shape, StepFence fence) {
        this.shape = shape;
        this.fence = fence;
        frames = new FrameStack(shape.frames());
        blocks = new KvFrames(shape, frames, fence);
        slotTouched = new long[shape.frames()];
        fencedSlots = new FenceQueue(shape.frames());
    }

    public FrameShape shape() {
        return shape;
    }

    /// Frames that hold nothing and wait for nothing.
    public int freeFrames() {
        return frames.free();
    }

    /// Frames that will be free when the steps under way have completed.
    public int comingFrames() {
        return fencedSlots.size() + blocks.emptying();
    }

    /// Blocks that can be taken at once, those of free frames included.
    public int freeBlocks() {
        return blocks.stranded() + frames.free() * shape.blocksPerFrame();
    }

    /// Blocks, and slots counted in blocks, that wait for a step.
    public int comingBlocks() {
        return blocks.fenced() + fencedSlots.size() * shape.blocksPerFrame();
    }

    /// Free blocks inside frames that cannot hold a state because of other blocks.
    public int strandedBlocks() {
        return blocks.stranded();
    }

    /// Blocks with an owner.
    public int heldBlocks() {
        return blocks.names().size();
    }

    /// Slots with an owner.
    public int heldSlots() {
        return heldSlots;
    }

    public FrameUse use() {
        int kvFrames = shape.frames() - frames.free() - heldSlots - fencedSlots.size();
        return new FrameUse(frames.free(), heldSlots, fencedSlots.size(), kvFrames, heldBlocks(), blocks.fenced(),
                blocks.stranded(), blocks.moved());
    }

    /// Takes a frame for a state; ask [#freeFrames()] first.
    int takeSlot() {
        int slot = frames.take(FrameStack.Use.STATE);
        heldSlots++;
        return slot;
    }

    /// Notes that a step reads or writes a slot.
    void touchSlot(int slot, long step) {
        slotTouched[slot] = Math.max(slotTouched[slot], step);
    }

    /// Whether every step that is known to touch the slot has completed.
    boolean isSlotQuiet(int slot) {
        return slotTouched[slot] <= fence.completed();
    }

    void giveBackSlot(int slot) {
        if (isSlotQuiet(slot)) {
            frames.giveBack(slot, FrameStack.Use.STATE);
        } else {
            frames.change(slot, FrameStack.Use.STATE, FrameStack.Use.FENCED_STATE);
            fencedSlots.add(slot, slotTouched[slot]);
        }
        heldSlots--;
    }

    /// Takes a block, with one holder; ask [#freeBlocks()] first.
    ///
    /// @return its name: see [#place]
    int takeBlock() {
        return blocks.take();
    }

    /// Where the block of a name lies now, in `[0, blocks)`. Moves change it.
    int place(int name) {
        return blocks.names().place(name);
    }

    int holders(int name) {
        return blocks.names().holders(name);
    }

    /// One more holder of a block.
    void hold(int name) {
        blocks.names().hold(name);
    }

    /// Notes that a step reads or writes a block.
    void touchBlock(int name, long step) {
        blocks.touch(name, step);
    }

    /// One holder less; the last one gives the block back.
    void letGo(int name) {
        blocks.letGo(name);
    }

    /// Empties a frame when enough blocks are free in others: the emptiest one, into the fullest ones. It is free when the
    /// next step to be launched has completed, with which the copies run.
    ///
    /// @param copies what is to be copied before that step, in this order
    /// @return whether a frame is being emptied
    boolean compact(List<BlockCopy> copies) {
        return blocks.compact(copies);
    }

    /// Frees what waited for the steps completed so far.
    void completed() {
        while (fencedSlots.hasFallen(fence.completed())) {
            frames.giveBack(fencedSlots.remove(), FrameStack.Use.FENCED_STATE);
        }
        blocks.completed();
    }

    /// @throws IllegalStateException when the books do not balance
    void checkInvariants() {
        frames.checkInvariants();
        blocks.checkInvariants();
        int states = frames.count(FrameStack.Use.STATE);
        int fenced = frames.count(FrameStack.Use.FENCED_STATE);
        if (states != heldSlots || fenced != fencedSlots.size()) {
            throw new IllegalStateException(heldSlots + " slots are held and " + fencedSlots.size() + " fenced; frames say "
                    + states + " and " + fenced);
        }
        for (int i = 0; i < fenced; i++) {
            if (frames.use(fencedSlots.get(i)) != FrameStack.Use.FENCED_STATE) {
                throw new IllegalStateException("slot " + fencedSlots.get(i) + " waits and is " + frames.use(fencedSlots.get(i)));
            }
        }
    }
}
