package dev.sidewinder.engine;

/// The loop that turns requests into tokens. `start` makes one engine thread, which owns scheduler, caches and backend;
/// everything else talks to it through a bounded mailbox. All public methods may be called from any thread.
public final class Engine implements AutoCloseable {

    /// Starts an engine and takes ownership of the backend.
    public static Engine start(Backend backend, EngineLimits limits, EngineObserver observer) {
        throw new UnsupportedOperationException("skeleton");
    }

    /// A place in the queue, taken before a request is rendered and tokenized. Given back by `close` unless submitted.
    public interface Place extends AutoCloseable {

        /// Hands the request to the engine.
        ///
        /// @throws EngineException `TOO_LARGE` when it can never fit, `OVERLOADED` when the real token count does not
        ///         fit into the queue
        Generation submit(GenerationRequest request);

        @Override
        void close();
    }

    /// Takes a place in the queue, or refuses at once.
    ///
    /// @param requests        sequences the request will make (prompts x n)
    /// @param estimatedTokens prompt tokens, estimated (body bytes / 3); corrected by `submit`
    /// @throws EngineException `OVERLOADED` or `DRAINING` or `ENGINE_FAILED`
    public Place reserve(int requests, long estimatedTokens) {
        throw new UnsupportedOperationException("skeleton");
    }

    /// What the engine is doing, from memory.
    public EngineStatus status() {
        throw new UnsupportedOperationException("skeleton");
    }

    /// Takes nothing new; what was accepted goes on.
    public void drain() {
        throw new UnsupportedOperationException("skeleton");
    }

    /// Stops at the next step: running requests fail with `DRAINING`. Waits for the thread, then closes the backend.
    @Override
    public void close() {
        throw new UnsupportedOperationException("skeleton");
    }
}
