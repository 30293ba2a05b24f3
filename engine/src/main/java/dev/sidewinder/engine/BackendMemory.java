package dev.sidewinder.engine;

import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;

/// The memory that a backend has for sequences.
///
/// @param frames for states and KV blocks: slot `s` is frame `s`, block `b` begins `b` blocks from the start of the same region
/// @param host   for sequences that are suspended
public record BackendMemory(FrameShape frames, HostShape host) {}
