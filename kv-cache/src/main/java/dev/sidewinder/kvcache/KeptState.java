package dev.sidewinder.kvcache;

/// A state in the prefix tree.
///
/// @param tokens after which a sequence has it
/// @param point  why it was kept
/// @param worth  what it is worth to keep it now; the least worthy goes first
record KeptState(int tokens, CheckpointPoint point, ReuseEstimate.Worth worth) {}
