package dev.sidewinder.engine.cuda;

/// What a CUDA backend runs on, for people and metrics.
///
/// @param device  its name and size
/// @param driver  the newest CUDA version of the driver, for example `13.0`
/// @param kernels where they come from
public record CudaSummary(String device, String driver, String kernels) {}
