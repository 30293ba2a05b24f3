package dev.sidewinder.kvcache;

import java.util.Optional;

/// The host area, and who is in it.
final class Suspensions {

    private final StepFence fence;
    private final WorkQueue work;
    private final HostArea states;
    private final HostArea blocks;

    Suspensions(HostShape shape, StepFence fence, WorkQueue work) {
        this.fence = fence;
        this.work = work;
        states = new HostArea(shape.states(), fence);
        blocks = new HostArea(shape.blocks(), fence);
    }

    /// States in the host area, those included that a step still copies.
    int suspendedStates() {
        return states.size() - states.free();
    }

    int suspendedBlocks() {
        return blocks.size() - blocks.free();
    }

    /// Queues the copies of a sequence to the host; empty when there is no room for it.
    Optional<SuspendedMemory> suspend(FrameCache cache, SequenceMemory memory, Optional<Partition> partition) {
        if (states.free() == 0 || blocks.free() < memory.blockCount()) {
            return Optional.empty();
        }
        int state = states.take();
        int[] copies = new int[memory.blockCount()];
        for (int i = 0; i < copies.length; i++) {
            copies[i] = blocks.take();
        }
        work.copyOut(memory, state, copies);
        return Optional.of(new SuspendedMemory(cache, partition, memory.reusedTokens(), state, copies, fence.launched() + 1));
    }

    /// Whether the copies to the host have been launched, so that copies back can follow.
    boolean isCopied(SuspendedMemory suspended) {
        return suspended.copiedWith() <= fence.launched();
    }

    /// Queues the copies back into a sequence that has its slot and as many blocks.
    void resume(SuspendedMemory suspended, SequenceMemory memory) {
        work.copyIn(memory, suspended.state(), suspended.blocks());
        giveBack(suspended, fence.launched() + 1);
    }

    void drop(SuspendedMemory suspended) {
        giveBack(suspended, suspended.copiedWith());
    }

    private void giveBack(SuspendedMemory suspended, long step) {
        states.giveBack(suspended.state(), step);
        for (int block : suspended.blocks()) {
            blocks.giveBack(block, step);
        }
    }

    void completed() {
        states.completed();
        blocks.completed();
    }
}
