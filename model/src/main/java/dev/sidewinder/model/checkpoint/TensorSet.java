package dev.sidewinder.model.checkpoint;

import java.util.Collection;

/// Tensors by name, wherever they come from. Owns their memory.
public interface TensorSet extends AutoCloseable {

    /// All tensors, in a stable order; no two have the same name.
    Collection<TensorView> tensors();

    /// Where a tensor comes from, for messages: the name of its file.
    String origin(String tensor);

    /// Puts into memory whatever would otherwise be made when it is first read, on all processors. Files are there already.
    ///
    /// @throws CheckpointException when the machine has less memory than that takes
    default void makeAll() {}

    @Override
    void close();
}
