package dev.sidewinder.bench.simulate;

/// What of the scheduler and the caches is used in a run.
///
/// @param name for reports
record Policy(String name) {}
