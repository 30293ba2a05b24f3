package dev.sidewinder.engine;

/// Why a choice ended.
public enum FinishReason {
    /// a stop token
    STOP,
    /// the token limit
    LENGTH,
    /// cancelled by its owner
    CANCELLED
}
