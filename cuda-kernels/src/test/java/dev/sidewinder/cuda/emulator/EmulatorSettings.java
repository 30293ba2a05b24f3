package dev.sidewinder.cuda.emulator;

/// How the emulated device behaves.
///
/// @param seed decides in which order blocks, threads and independent streams run, and which allocation is guarded at
///     which end
/// @param lazy whether work waits until the host synchronises, so that a missing synchronisation shows in the data
/// @param workers threads of the operating system that run blocks
/// @param totalBytes memory of the device; what is allocated is really filled
/// @param multiprocessors what the device claims to have; launchers size grids by it
/// @param blockSeconds processor time that one block of a kernel may take; longer is held for an endless loop
/// @param watching whether every access that leaves an allocation is reported where it happens, reads among them. Without it a read
///     of less than a page beside an allocation may give NaN in place of a report. Tens of microseconds for each access to an
///     allocation's first and last pages; launches do not overlap
public record EmulatorSettings(
        long seed, boolean lazy, int workers, long totalBytes, int multiprocessors, double blockSeconds, boolean watching) {

    public EmulatorSettings {
        if (workers < 1 || workers > 64) {
            throw new IllegalArgumentException(workers + " workers; 1 to 64 are possible");
        }
        if (totalBytes < 1 || multiprocessors < 1 || !(blockSeconds > 0)) {
            throw new IllegalArgumentException("a device of " + totalBytes + " bytes with " + multiprocessors
                    + " multiprocessors and " + blockSeconds + " s for a block; it needs some of each");
        }
    }

    public static EmulatorSettings withSeed(long seed) {
        return new EmulatorSettings(seed, false, 2, 1L << 30, 8, 60, false);
    }

    public EmulatorSettings lazily() {
        return new EmulatorSettings(seed, true, workers, totalBytes, multiprocessors, blockSeconds, watching);
    }

    public EmulatorSettings withWorkers(int workers) {
        return new EmulatorSettings(seed, lazy, workers, totalBytes, multiprocessors, blockSeconds, watching);
    }

    public EmulatorSettings withTotalBytes(long totalBytes) {
        return new EmulatorSettings(seed, lazy, workers, totalBytes, multiprocessors, blockSeconds, watching);
    }

    public EmulatorSettings withMultiprocessors(int multiprocessors) {
        return new EmulatorSettings(seed, lazy, workers, totalBytes, multiprocessors, blockSeconds, watching);
    }

    public EmulatorSettings withSeedReplaced(long seed) {
        return new EmulatorSettings(seed, lazy, workers, totalBytes, multiprocessors, blockSeconds, watching);
    }

    public EmulatorSettings withBlockSeconds(double blockSeconds) {
        return new EmulatorSettings(seed, lazy, workers, totalBytes, multiprocessors, blockSeconds, watching);
    }

    /// For those who look for an access out of bounds.
    public EmulatorSettings underWatch() {
        return new EmulatorSettings(seed, lazy, workers, totalBytes, multiprocessors, blockSeconds, true);
    }
}
