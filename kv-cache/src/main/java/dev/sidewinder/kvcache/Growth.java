package dev.sidewinder.kvcache;

/// What became of a wish for more blocks.
public enum Growth {
    /// the allocation covers the tokens
    GRANTED,
    /// the blocks are there and come free with the steps under way; the allocation is as it was, ask again then
    AFTER_STEPS,
    /// there are not enough blocks now; the allocation is as it was
    NO_ROOM
}
