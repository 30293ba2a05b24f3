package dev.sidewinder.scheduler;

/// Sequences that had to leave the device before their end, by what became of their memory.
///
/// @param suspendedNow sequences that are to come back
/// @param copied       went to the host area, to come back bit for bit
/// @param recomputed   dropped, to be computed again, where there was no room on the host
/// @param overloaded   dropped for good, where computing again would have given other bits
public record Preemptions(int suspendedNow, long copied, long recomputed, long overloaded) {}
