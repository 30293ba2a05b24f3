package dev.sidewinder.engine;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.scheduler.Batch;

/// Computes the forward pass. Owned by the engine thread: no method may be called from another one.
public interface Backend extends AutoCloseable {

    /// The KV blocks and state slots this backend has memory for.
    CacheShape cacheShape();

    int vocabSize();

    /// Runs every entry of the batch, advances its state and KV, and returns the wanted rows of logits.
    ///
    /// The result is valid until the next call. A row depends only on the tokens of its own sequence, never on what
    /// else is in the batch or how the sequence was cut into pieces (on the 128-token grid).
    Logits forward(Batch batch);

    /// One line for the start-up log: arithmetic, instruction set, libraries.
    String description();

    @Override
    void close();
}
