package dev.sidewinder.kvcache;

import java.util.List;

/// What a backend copies with a step. Each list is to be worked off in its order: a later copy may read what an earlier one
/// wrote.
///
/// @param blocks   KV blocks, copied before the step
/// @param restores states, copied before the step, after the blocks: to sequences that go on from them
/// @param stores   states, copied after the step: kept for later sequences
public record MemoryWork(List<BlockCopy> blocks, List<StateCopy> restores, List<StateCopy> stores) {

    public static final MemoryWork NONE = new MemoryWork(List.of(), List.of(), List.of());

    public MemoryWork {
        blocks = List.copyOf(blocks);
        restores = List.copyOf(restores);
        stores = List.copyOf(stores);
    }

    public boolean isEmpty() {
        return blocks.isEmpty() && restores.isEmpty() && stores.isEmpty();
    }
}
