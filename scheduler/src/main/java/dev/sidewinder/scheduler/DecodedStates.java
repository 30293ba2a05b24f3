package dev.sidewinder.scheduler;

/// Who may use states, keys and values that decode steps have left behind.
public enum DecodedStates {
    /// any sequence with the same tokens: a scan would have left the same bits, or the last bits are not promised
    SERVE_ANYBODY,
    /// the sequence that wrote them alone: with them another one would get other bits than without
    SERVE_THEIR_SEQUENCE
}
