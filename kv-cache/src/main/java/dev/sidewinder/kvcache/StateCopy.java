package dev.sidewinder.kvcache;

/// The content of one state slot goes into another.
///
/// @param from slot that is read, in `[0, frames)`
/// @param to   slot that is written
public record StateCopy(int from, int to) {}
