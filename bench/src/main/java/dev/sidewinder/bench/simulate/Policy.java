package dev.sidewinder.bench.simulate;

/// What of the scheduler and the caches is used in a run.
///
/// @param name  for reports
/// @param turns whether tenants take turns and priorities count; otherwise all requests are one tenant's and equally urgent
/// @param gap   whether pieces of prompts keep to the target for the gap between tokens; otherwise steps are as large as they may be
record Policy(String name, boolean turns, boolean gap) {}
