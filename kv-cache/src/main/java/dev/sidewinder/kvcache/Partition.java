package dev.sidewinder.kvcache;

/// Who may use what was computed for whom: 128 bits of a keyed digest over the caller's key and `cache_salt`, made by the
/// server. Sequences of different partitions never share anything, and nobody can tell what another partition holds.
///
/// @param high of the caller's key alone: the same for all its partitions
/// @param low  of key and salt
public record Partition(long high, long low) {}
