package dev.sidewinder.scheduler;

/// Sequences that had to leave the device before their end, by what became of their memory.
///
/// All of them left for want of blocks: one that runs needed a block which was held or promised. Nobody has to leave for want of a
/// state's frame. States are given out when a sequence is admitted or comes back, and it waits then until there is one; one that is to
/// be kept for others is not kept where there is none.
///
/// @param suspendedNow sequences that are to come back
/// @param copied       went to the host area, to come back bit for bit
/// @param recomputed   dropped, to be computed again, where there was no room on the host
/// @param overloaded   dropped for good, where computing again would have given other bits
public record Preemptions(int suspendedNow, long copied, long recomputed, long overloaded) {}
