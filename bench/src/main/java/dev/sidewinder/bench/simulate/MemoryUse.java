package dev.sidewinder.bench.simulate;

import dev.sidewinder.kvcache.CacheUse;
import java.util.List;

/// What the pool holds at one moment, as parts of the whole. They add up to 1.
///
/// @param runningStates of sequences that run
/// @param runningKv     blocks that running sequences hold
/// @param keptStates    in the prefix tree
/// @param keptKv        blocks that only the tree holds
/// @param fenced        waits for steps under way
/// @param free          holds nothing
record MemoryUse(double runningStates, double runningKv, double keptStates, double keptKv, double fenced, double free) {

    /// In the order of [#parts].
    static final List<String> NAMES = List.of("running states", "running KV", "kept states", "kept KV", "fenced", "free");

    static MemoryUse of(CacheUse use) {
        double blocks = use.shape().blocks();
        double frame = use.shape().blocksPerFrame() / blocks;
        double runningStates = use.runningStates() * frame;
        double runningKv = use.runningBlocks() / blocks;
        double keptStates = use.keptStates() * frame;
        double keptKv = use.keptBlocks() / blocks;
        double fenced = use.frames().fencedStates() * frame + use.frames().fencedBlocks() / blocks;
        return new MemoryUse(runningStates, runningKv, keptStates, keptKv, fenced,
                Math.max(0, 1 - runningStates - runningKv - keptStates - keptKv - fenced));
    }

    double[] parts() {
        return new double[] {runningStates, runningKv, keptStates, keptKv, fenced, free};
    }
}
