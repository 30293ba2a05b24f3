package dev.sidewinder.model.checkpoint;

import java.lang.foreign.MemorySegment;
import java.util.List;

/// A named tensor, row-major and little-endian, as it lies in a mapped file or in memory, or as it can be made.
///
/// Does not own its memory: its content is valid while the checkpoint it came from is open.
public record TensorView(String name, DType type, List<Long> shape, TensorContent content) {

    public TensorView {
        shape = List.copyOf(shape);
    }

    /// A tensor whose bytes are there.
    public TensorView(String name, DType type, List<Long> shape, MemorySegment data) {
        this(name, type, shape, new TensorContent.Stored(data));
    }

    /// Number of elements.
    public long elements() {
        return shape.stream().reduce(1L, Math::multiplyExact);
    }

    /// All bytes. They are made first, where they were not there.
    public MemorySegment data() {
        return content.data();
    }

    public long bytes() {
        return content.bytes();
    }
}
