package dev.sidewinder.kvcache;

/// A sequence between device and host area.
sealed interface Journey permits Departure, Arrival {}
