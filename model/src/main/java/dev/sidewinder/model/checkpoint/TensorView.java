package dev.sidewinder.model.checkpoint;

import java.lang.foreign.MemorySegment;
import java.util.List;

/// A named tensor, row-major and little-endian, as it lies in a mapped file or in memory.
///
/// Does not own its memory: `data` is valid while the checkpoint it came from is open.
public record TensorView(String name, DType type, List<Long> shape, MemorySegment data) {

    public TensorView {
        shape = List.copyOf(shape);
    }

    /// Number of elements.
    public long elements() {
        return shape.stream().reduce(1L, Math::multiplyExact);
    }
}
