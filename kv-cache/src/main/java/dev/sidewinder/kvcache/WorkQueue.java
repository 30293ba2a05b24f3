package dev.sidewinder.kvcache;

import java.util.ArrayList;
import java.util.List;

/// Copies that wait for a step, and whether it writes states itself. What a queued copy reads or writes, and where the step writes
/// a state, counts as touched by the step to come, so that it is not given out to others before that has completed, whoever lets go
/// of it in the meantime.
final class WorkQueue {

    private final FramePool pool;
    private final StepFence fence;
    private final List<HostCopy> ins = new ArrayList<>();
    private final List<BlockCopy> blocks = new ArrayList<>();
    private final List<StateCopy> restores = new ArrayList<>();
    private final List<HostCopy> outs = new ArrayList<>();
    private final List<StateCopy> stores = new ArrayList<>();
    /// Whether the step to come was asked to write states: somebody may wait for their slots, so it has to be launched.
    private boolean writes;

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

    /// By the step itself.
    void writeInStep(int slot) {
        writes = true;
        pool.touchSlot(slot, nextStep());
    }

    private void copyState(List<StateCopy> queue, int from, int to) {
        queue.add(new StateCopy(from, to));
        pool.touchSlot(from, nextStep());
        pool.touchSlot(to, nextStep());
    }

    /// To the host area; the caller touches what is copied.
    void copyOut(HostCopy.Kind kind, int device, int host) {
        outs.add(new HostCopy(kind, device, host));
    }

    /// From the host area, as [#copyOut].
    void copyIn(HostCopy.Kind kind, int device, int host) {
        ins.add(new HostCopy(kind, device, host));
    }

    boolean isEmpty() {
        return !writes && !copies();
    }

    private boolean copies() {
        return !(ins.isEmpty() && blocks.isEmpty() && restores.isEmpty() && outs.isEmpty() && stores.isEmpty());
    }

    /// Hands everything out.
    MemoryWork take() {
        writes = false;
        if (!copies()) {
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
