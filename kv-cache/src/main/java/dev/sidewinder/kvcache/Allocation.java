package dev.sidewinder.kvcache;

/// The memory of one sequence: its state slot and its KV blocks, in order of position. Owned by one sequence, given
/// back exactly once.
public interface Allocation {

    /// Index of the state slot, in `[0, slots)`.
    int slot();

    /// Number of KV blocks held.
    int blockCount();

    /// Index of the KV block that holds tokens `[128 i, 128 (i + 1))`, in `[0, blocks)`.
    int block(int i);
}
