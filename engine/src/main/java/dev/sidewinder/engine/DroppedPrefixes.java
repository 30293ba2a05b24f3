package dev.sidewinder.engine;

/// What was dropped from the prefix cache.
///
/// @param states kept states
/// @param blocks KV blocks
public record DroppedPrefixes(int states, int blocks) {

    public static final DroppedPrefixes NONE = new DroppedPrefixes(0, 0);
}
