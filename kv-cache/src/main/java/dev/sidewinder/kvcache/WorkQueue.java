package dev.sidewinder.kvcache;

import java.util.ArrayList;
import java.util.List;

/// Copies that wait for a step. What a queued copy reads or writes counts as touched by the step to come, so that it is not
/// given out to others before that has completed, whoever lets go of it in the meantime.
final class WorkQueue {

    private final FramePool pool;
    private final StepFence fence;
    private final List<HostCopy> ins = new ArrayList<>();
    private final List<BlockCopy> blocks = new ArrayList<>();
    private final List<StateCopy> restores = new ArrayList<>();
    private final List<HostCopy> outs = new ArrayList<>();
    private final List<StateCopy> stores = new ArrayList<>();

    WorkQueue(FramePool pool, StepFence fence) {
        this.pool = pool;
        this.fence = fence;
    }

    /// The least number that the step to come can have.
    private long nextStep() {
        return fence.launched() + 1;
    }

    /// Has a frame emptied where enough blocks are free in others.
    ///
    /// @return whether one is being emptied
    boolean compact() {
        return pool.compact(blocks);
    }

    void copyBlock(int from, int to) {
        blocks.add(new BlockCopy(pool.place(from), pool.place(to)));
        pool.touchBlock(from, nextStep());
        pool.touchBlock(to, nextStep());
    }

    /// Before the step.
    void restore(int from, int to) {
        copyState(restores, from, to);
    }

    /// After the step.
    void store(int from, int to) {
        copyState(stores, from, to);
    }

    private void copyState(List<StateCopy> queue, int from, int to) {
        queue.add(new StateCopy(from, to));
        pool.touchSlot(from, nextStep());
        pool.touchSlot(to, nextStep());
    }

    /// A sequence's state and blocks go to the host.
    ///
    /// @param state  index in the host area
    /// @param copies indices of blocks in the host area
    /// @param first  the first of them that is not there yet
    void copyOut(SequenceMemory memory, int state, int[] copies, int first) {
        copyHost(outs, memory, state, copies, first);
    }

    /// A sequence's state and first blocks come from the host.
    void copyIn(SequenceMemory memory, int state, int[] copies) {
        copyHost(ins, memory, state, copies, 0);
    }

    private void copyHost(List<HostCopy> queue, SequenceMemory memory, int state, int[] copies, int first) {
        queue.add(new HostCopy(HostCopy.Kind.STATE, memory.slot(), state));
        pool.touchSlot(memory.slot(), nextStep());
        for (int i = first; i < copies.length; i++) {
            queue.add(new HostCopy(HostCopy.Kind.BLOCK, memory.block(i), copies[i]));
            pool.touchBlock(memory.name(i), nextStep());
        }
    }

    boolean isEmpty() {
        return ins.isEmpty() && blocks.isEmpty() && restores.isEmpty() && outs.isEmpty() && stores.isEmpty();
    }

    /// Hands everything out.
    MemoryWork take() {
        if (isEmpty()) {
            return MemoryWork.NONE;
        }
        var work = new MemoryWork(ins, blocks, restores, outs, stores);
        ins.clear();
        blocks.clear();
        restores.clear();
        outs.clear();
        stores.clear();
        return work;
    }
}
