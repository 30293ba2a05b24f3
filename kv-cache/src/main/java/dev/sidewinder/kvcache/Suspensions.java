package dev.sidewinder.kvcache;

import java.util.Arrays;
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

    /// Whether there is a host area.
    boolean hasRoom() {
        return states.size() > 0;
    }

    /// States in the host area, those included that a step still copies.
    int suspendedStates() {
        return states.size() - states.free();
    }

    int suspendedBlocks() {
        return blocks.size() - blocks.free();
    }

    /// Queues the copies of a sequence to the host; empty when there is no room for it.
    ///
    /// @param shared places of its first blocks, which are there already
    Optional<SuspendedMemory> suspend(FrameCache cache, SequenceMemory memory, Optional<Partition> partition, int[] shared) {
        int count = memory.blockCount();
        if (shared.length > count) {
            throw new IllegalArgumentException("a sequence of " + count + " blocks of which " + shared.length + " are on the host");
        }
        if (states.free() == 0 || blocks.free() < count - shared.length) {
            return Optional.empty();
        }
        int state = states.take();
        int[] copies = Arrays.copyOf(shared, count);
        for (int i = 0; i < count; i++) {
            if (i < shared.length) {
                blocks.share(copies[i]);
            } else {
                copies[i] = blocks.take();
            }
        }
        work.copyOut(memory, state, copies, shared.length);
        return Optional.of(new SuspendedMemory(cache, partition, memory.reusedTokens(), state, copies, fence.launched() + 1));
    }

    /// Takes places for what somebody writes there; empty when there is no room.
    Optional<SuspendedMemory> adopt(FrameCache cache, Optional<Partition> partition, int count) {
        if (states.free() == 0 || blocks.free() < count) {
            return Optional.empty();
        }
        int state = states.take();
        int[] places = new int[count];
        for (int i = 0; i < count; i++) {
            places[i] = blocks.take();
        }
        return Optional.of(new SuspendedMemory(cache, partition, 0, state, places, fence.completed()));
    }

    /// A second hold on the same places.
    SuspendedMemory share(FrameCache cache, SuspendedMemory suspended) {
        states.share(suspended.state());
        for (int block : suspended.blocks()) {
            blocks.share(block);
        }
        return new SuspendedMemory(cache, suspended.partition(), suspended.reusedTokens(), suspended.state(),
                suspended.blocks().clone(), suspended.copiedWith());
    }

    /// Whether the copies to the host have been launched, so that copies back can follow.
    boolean isCopied(SuspendedMemory suspended) {
        return suspended.copiedWith() <= fence.launched();
    }

    /// Whether the copies to the host have completed, so that the bytes are there.
    boolean isThere(SuspendedMemory suspended) {
        return suspended.copiedWith() <= fence.completed();
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
