package dev.sidewinder.cuda.kernel;

/// A comparison of kernels with their reference on the host, for any device. [KernelChecks] lists them.
///
/// @param family name of the `.cu` file
/// @param name   what is compared, at which sizes
/// @param extent how much work it is
public record KernelCheck(String family, String name, Extent extent, Body body) {

    public enum Extent {
        /// Small and odd sizes: seconds in the emulator.
        SMALL,
        /// Sizes of the real models: for devices.
        REAL,
        /// One captured graph, launched again and again with other inputs.
        REPLAYS
    }

    /// What is compared.
    @FunctionalInterface
    public interface Body {

        /// @param seed all random data comes from it
        /// @throws AssertionError naming place and values of the worst mismatch
        void run(Kernels kernels, long seed);
    }

    /// Runs the comparison with fresh data. Everything that it allocates is free again afterwards.
    ///
    /// @param runSeed of the whole run; each comparison draws from a seed of its own that follows from it
    /// @throws AssertionError naming place and values of the worst mismatch
    public void run(Kernels kernels, long runSeed) {
        body.run(kernels, seed(runSeed));
    }

    /// The seed of this comparison in a run.
    public long seed(long runSeed) {
        return 31 * runSeed + 0x9e3779b97f4a7c15L * (family + " " + name).hashCode();
    }

    @Override
    public String toString() {
        return family + ": " + name;
    }
}
