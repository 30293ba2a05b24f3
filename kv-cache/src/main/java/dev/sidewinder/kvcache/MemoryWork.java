package dev.sidewinder.kvcache;

import java.util.List;

/// What a backend copies with a step, in the order `blocks`, `restores`, `ins`, `outs`, the step, `stores`; each list is to be worked
/// off in its own order, too, since a later copy may read what an earlier one wrote.
///
/// What goes to the host or comes from there (`outs`, `ins`) touches nothing that an entry of the step does, but for a sequence
/// whose state is among `ins`: all else of it has come with this step or before. So these copies may run beside the step,
/// behind `blocks` and `restores`, if none of its entries has such a slot. The step has completed when they have.
///
/// @param ins      from the host area, before the step: sequences that are resumed. The state comes last
/// @param blocks   KV blocks, before `ins`: moves and forks
/// @param restores states, before the step: to sequences that go on from them
/// @param outs     to the host area, before the step or beside it: sequences that are suspended
/// @param stores   states, after the step: kept for later sequences
public record MemoryWork(List<HostCopy> ins, List<BlockCopy> blocks, List<StateCopy> restores, List<HostCopy> outs,
        List<StateCopy> stores) {

    public static final MemoryWork NONE = new MemoryWork(List.of(), List.of(), List.of(), List.of(), List.of());

    public MemoryWork {
        ins = List.copyOf(ins);
        blocks = List.copyOf(blocks);
        restores = List.copyOf(restores);
        outs = List.copyOf(outs);
        stores = List.copyOf(stores);
    }

    public boolean isEmpty() {
        return ins.isEmpty() && blocks.isEmpty() && restores.isEmpty() && outs.isEmpty() && stores.isEmpty();
    }
}
