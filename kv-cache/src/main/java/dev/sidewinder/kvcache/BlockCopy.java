package dev.sidewinder.kvcache;

/// The content of one KV block goes into another.
///
/// @param from place of the block that is read, in `[0, blocks)`
/// @param to   place of the block that is written
public record BlockCopy(int from, int to) {}
