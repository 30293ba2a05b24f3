package dev.sidewinder.engine;

import java.lang.foreign.MemorySegment;
import java.util.List;

/// The bytes of a [SessionMemory].
///
/// @param computed tokens after which the state is
/// @param state    of all layers
/// @param blocks   keys and values, in the order of positions: as many as `computed` tokens need
public record SessionBytes(int computed, MemorySegment state, List<MemorySegment> blocks) {
    public SessionBytes {
        blocks = List.copyOf(blocks);
    }
}
