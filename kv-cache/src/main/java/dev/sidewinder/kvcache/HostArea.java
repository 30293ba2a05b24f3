package dev.sidewinder.kvcache;

/// Indices of one kind in the host area: free, held by some who share what is there, or given back by the last of them while a
/// step may still copy from or to it.
final class HostArea {

    private final StepFence fence;
    private final int[] free;
    private int freeCount;
    private final FenceQueue fenced;
    private final int[] holders;
    /// The newest step that copies from or to an index, as far as those who gave it back know.
    private final long[] touched;

    HostArea(int size, StepFence fence) {
        this.fence = fence;
        free = new int[size];
        fenced = new FenceQueue(size);
        holders = new int[size];
        touched = new long[size];
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

    int holders(int index) {
        return holders[index];
    }

    int fenced() {
        return fenced.size();
    }

    /// Takes a free index; ask [#free()] first.
    int take() {
        int index = free[--freeCount];
        holders[index] = 1;
        touched[index] = 0;
        return index;
    }

    /// Somebody else needs what is there, too.
    void share(int index) {
        if (holders[index] < 1) {
            throw new IllegalStateException("shared place " + index + " of the host area, which nobody holds");
        }
        holders[index]++;
    }

    /// One of those who hold it needs it no more.
    ///
    /// @param step newest step that copies from or to the index for them
    void giveBack(int index, long step) {
        if (holders[index] < 1) {
            throw new IllegalStateException("gave back place " + index + " of the host area, which nobody holds");
        }
        touched[index] = Math.max(touched[index], step);
        if (--holders[index] == 0) {
            fenced.add(index, touched[index]);
            completed();
        }
    }

    void completed() {
        while (fenced.hasFallen(fence.completed())) {
            free[freeCount++] = fenced.remove();
        }
    }
}
