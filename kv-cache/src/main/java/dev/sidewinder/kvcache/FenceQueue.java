package dev.sidewinder.kvcache;

/// Indices that wait for steps: each was given back while a launched step may still touch it. A ring, made once.
///
/// Fences leave in the order they came, so a later one is never below an earlier one: an index whose own step is older than
/// the newest in the queue waits a little longer than it must, which is safe and keeps every operation constant.
final class FenceQueue {

    private final int[] indices;
    private final long[] steps;
    private int head;
    private int size;

    FenceQueue(int capacity) {
        indices = new int[capacity];
        steps = new long[capacity];
    }

    int size() {
        return size;
    }

    /// @param step newest step that may touch the index
    void add(int index, long step) {
        int at = wrap(head + size);
        indices[at] = index;
        steps[at] = size == 0 ? step : Math.max(step, steps[wrap(at - 1)]);
        size++;
    }

    /// Whether the first in the queue waits no longer.
    ///
    /// @param completed newest step that has completed
    boolean hasFallen(long completed) {
        return size > 0 && steps[head] <= completed;
    }

    int remove() {
        int index = indices[head];
        head = wrap(head + 1);
        size--;
        return index;
    }

    int get(int i) {
        return indices[wrap(head + i)];
    }

    private int wrap(int at) {
        return at < 0 ? at + indices.length : at < indices.length ? at : at - indices.length;
    }
}
