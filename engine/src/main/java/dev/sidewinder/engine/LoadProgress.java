package dev.sidewinder.engine;

/// Hears how far the weights are prepared. Called on the thread that builds the backend, layer by layer.
@FunctionalInterface
public interface LoadProgress {

    /// @param done  bytes of weights prepared so far
    /// @param total bytes to prepare in all
    void prepared(long done, long total);

    LoadProgress SILENT = (done, total) -> {};
}
