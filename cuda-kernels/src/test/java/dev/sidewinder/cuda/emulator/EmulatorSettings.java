package dev.sidewinder.cuda.emulator;

/// How the emulated device behaves.
///
/// @param seed decides in which order blocks, threads and independent streams run, and which allocation is guarded at
///     which end
/// @param lazy whether work waits until the host synchronises, so that a missing synchronisation shows in the data
/// @param workers threads of the operating system that run blocks
/// @param totalBytes memory of the device; what is allocated is really filled
/// @param multiprocessors what the device claims to have; launchers size grids by it
public record EmulatorSettings(long seed, boolean lazy, int workers, long totalBytes, int multiprocessors) {

    public EmulatorSettings {
        if (workers < 1 || workers > 64) {
            throw new IllegalArgumentException(workers + " workers; 1 to 64 are possible");
        }
        if (totalBytes < 1 || multiprocessors < 1) {
            throw new IllegalArgumentException("a device of " + totalBytes + " bytes with " + multiprocessors
                    + " multiprocessors; it needs at least 1 of each");
        }
    }

    public static EmulatorSettings withSeed(long seed) {
        return new EmulatorSettings(seed, false, 2, 1L << 30, 8);
    }

    public EmulatorSettings lazily() {
        return new EmulatorSettings(seed, true, workers, totalBytes, multiprocessors);
    }

    public EmulatorSettings withWorkers(int workers) {
        return new EmulatorSettings(seed, lazy, workers, totalBytes, multiprocessors);
    }

    public EmulatorSettings withTotalBytes(long totalBytes) {
        return new EmulatorSettings(seed, lazy, workers, totalBytes, multiprocessors);
    }

    public EmulatorSettings withMultiprocessors(int multiprocessors) {
        return new EmulatorSettings(seed, lazy, workers, totalBytes, multiprocessors);
    }
}
