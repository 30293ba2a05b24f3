package dev.sidewinder.bench.gpu;

import java.util.Locale;

/// What every line of a result has to name so that it can be compared later.
///
/// @param device as the driver calls it
/// @param driver version of the driver, and the newest CUDA it serves
/// @param commit of the sources, with `+` when the working tree differed; `unknown` without either
/// @param seed   all random data of the run comes from it
public record GpuRun(String device, String driver, String commit, long seed) {

    /// A name for the folder of a device's results.
    public String folder() {
        return device.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "-").replaceAll("^-|-$", "");
    }
}
