package dev.sidewinder.cuda.device;

/// What a device is, asked once when it is opened.
///
/// @param computeMajor with `computeMinor` the compute capability: 9.0 for H100 and H200
/// @param sharedBytesPerBlock the most shared memory of a block, static and dynamic, after a kernel has asked for it
/// @param driverVersion the newest CUDA version of the driver, for example 13000 for 13.0
public record DeviceInfo(
        String name,
        int computeMajor,
        int computeMinor,
        int multiprocessors,
        long totalBytes,
        int sharedBytesPerBlock,
        int l2Bytes,
        int clockKilohertz,
        int memoryClockKilohertz,
        int memoryBusBits,
        int driverVersion) {

    /// Whether kernels may start before their predecessor in the stream has ended (programmatic dependent launch).
    public boolean hasDependentLaunch() {
        return computeMajor >= 9;
    }

    /// Whether there are products of a whole warpgroup (wgmma): in compute 9.0 and in nothing later.
    public boolean hasWarpgroupProducts() {
        return computeMajor == 9 && computeMinor == 0;
    }

    /// One line for an operator.
    @Override
    public String toString() {
        return "%s (compute %d.%d, %d multiprocessors, %.1f GiB, driver for CUDA %d.%d)".formatted(name, computeMajor,
                computeMinor, multiprocessors, totalBytes / (double) (1L << 30), driverVersion / 1000,
                driverVersion % 1000 / 10);
    }
}
