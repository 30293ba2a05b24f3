package dev.sidewinder.kvcache;

/// Indices of one kind in the host area: free, taken, or given back while a step may still copy from or to them.
final class HostArea {

    private final StepFence fence;
    private final int[] free;
    private int freeCount;
    private final FenceQueue fenced;

    HostArea(int size, StepFence fence) {
        this.fence = fence;
        free = new int[size];
        fenced = new FenceQueue(size);
        for (int i = size - 1; i >= 0; i--) {
            free[freeCount++] = i;
        }
    }

    int size() {
        return free.length;
    }

    int free() {
        return freeCount;
    }

    int fenced() {
        return fenced.size();
    }

    /// Takes a free index; ask [#free()] first.
    int take() {
        return free[--freeCount];
    }

    /// @param step newest step that copies from or to the index
    void giveBack(int index, long step) {
        fenced.add(index, step);
        completed();
    }

    void completed() {
        while (fenced.hasFallen(fence.completed())) {
            free[freeCount++] = fenced.remove();
        }
    }
}
