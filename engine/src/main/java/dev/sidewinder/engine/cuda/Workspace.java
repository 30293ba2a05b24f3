package dev.sidewinder.engine.cuda;

import java.util.HashMap;
import java.util.Map;

/// Device memory for what lies between kernels, planned while the layers are built.
///
/// Layers run one after the other, so all of them use the same *scratch* memory, each from its beginning on; none leaves
/// anything there that another one reads. What has to outlast a layer, or has to be zero at every launch, is *kept* memory
/// with a name: zeroed once at start, shared by all who ask for the same name and size.
final class Workspace {

    private final long scratchBase;
    private final Region keptRegion;
    private final Map<String, Long> kept = new HashMap<>();
    private Region scratch;
    private long scratchBytes;

    /// @param keptBase    where kept memory begins
    /// @param scratchBase where scratch memory begins
    Workspace(long keptBase, long scratchBase) {
        this.keptRegion = new Region(keptBase);
        this.scratchBase = scratchBase;
        this.scratch = new Region(scratchBase);
    }

    /// A workspace without memory, which says afterwards how much was asked for. Its addresses look like real ones.
    static Workspace counting() {
        return new Workspace(WeightSink.ALIGNMENT, WeightSink.ALIGNMENT);
    }

    /// Begins the scratch memory of the next layer.
    void nextLayer() {
        scratch = new Region(scratchBase);
    }

    /// Scratch memory of this layer.
    long scratch(long bytes) {
        long address = scratch.take(bytes);
        scratchBytes = Math.max(scratchBytes, scratch.used());
        return address;
    }

    long kept(String role, long bytes) {
        return kept.computeIfAbsent(role + ", " + bytes + " bytes", key -> keptRegion.take(bytes));
    }

    long scratchBytes() {
        return scratchBytes;
    }

    long keptBytes() {
        return keptRegion.used();
    }
}
