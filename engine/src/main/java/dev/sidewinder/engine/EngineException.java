package dev.sidewinder.engine;

/// A request could not be taken or finished.
public class EngineException extends RuntimeException {

    /// What went wrong, as far as a client may know.
    public enum Kind {
        /// the queue is full
        OVERLOADED,
        /// the queue has room, and the tenant has as much of it as it may
        SHARE_USED_UP,
        /// waited too long for its turn
        QUEUE_TIMEOUT,
        /// not done within its deadline
        DEADLINE_EXCEEDED,
        /// the engine is stopping
        DRAINING,
        /// the engine has failed
        ENGINE_FAILED,
        /// NaN or infinity in the logits of this request
        NUMERIC,
        /// the consumer did not take its events
        SLOW_READER,
        /// the request can never fit into the cache
        TOO_LARGE
    }

    private final Kind kind;

    public EngineException(Kind kind, String message) {
        super(message);
        this.kind = kind;
    }

    public Kind kind() {
        return kind;
    }
}
