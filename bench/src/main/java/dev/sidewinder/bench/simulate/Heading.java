package dev.sidewinder.bench.simulate;

/// What a report is about.
///
/// @param model   and the device
/// @param traffic where requests came from
/// @param bounds  of steps, queue and time
record Heading(String model, String traffic, String bounds) {}
