package dev.sidewinder.bench.simulate;

/// What of the scheduler and the caches is used in a run.
///
/// @param name       for reports
/// @param reuse      whether prompts go on from what was kept of earlier ones
/// @param suspension whether there is a host area, so that sequences are admitted with less than they may need and suspended
/// @param turns      whether tenants take turns and priorities count; otherwise all requests are one tenant's and equally urgent
/// @param gap        whether pieces of prompts keep to the target for the gap between tokens; otherwise steps are as large as they may be
record Policy(String name, boolean reuse, boolean suspension, boolean turns, boolean gap) {}
