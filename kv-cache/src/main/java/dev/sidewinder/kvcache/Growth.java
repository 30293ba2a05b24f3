package dev.sidewinder.kvcache;

/// What became of a wish for more blocks.
public enum Growth {
    /// the allocation covers the tokens
    GRANTED,
    /// there are not enough blocks now; the allocation is as it was
    NO_ROOM
}
