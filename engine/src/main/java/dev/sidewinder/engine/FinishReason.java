package dev.sidewinder.engine;

/// Why a choice ended.
public enum FinishReason {
    /// a stop token, or the form of the answer is complete
    STOP,
    /// the token limit
    LENGTH,
    /// cancelled by its owner
    CANCELLED
}
