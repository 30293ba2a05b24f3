package dev.sidewinder.bench.gpu;

/// How thoroughly kernels are measured.
///
/// @param repeats     timings of an operator, each of a chain of launches
/// @param chainMicros a chain is at least so long, so that what lies around it does not count
/// @param coldBytes   what a chain reads before it reads the same again, in caches' sizes
record Effort(int repeats, double chainMicros, double coldBytes) {

    /// Enough for a median that does not move, and three caches' worth of other data between two uses of a weight.
    static final Effort FULL = new Effort(50, 500, 3);

    static final int MOST_TURNS = 64;
    private static final int LONGEST_CHAIN = 512;

    Effort {
        if (repeats < 1 || !(chainMicros >= 0) || !(coldBytes >= 0)) {
            throw new IllegalArgumentException("%d repeats of chains of %s µs with %s caches of data; repeats are at least 1"
                    .formatted(repeats, chainMicros, coldBytes));
        }
    }

    Effort withRepeats(int count) {
        return new Effort(count, chainMicros, coldBytes);
    }

    /// Sets of data that launches take in turn, so that none finds its own in the cache.
    ///
    /// @param bytes of one set
    /// @param freeBytes of the device, all sets together take at most half
    int turns(long bytes, long l2Bytes, long freeBytes) {
        long wanted = (long) Math.ceil(coldBytes * l2Bytes / Math.max(1, bytes)) + 1;
        long possible = Math.max(1, freeBytes / 2 / Math.max(1, bytes));
        return (int) Math.clamp(Math.min(wanted, possible), 1, MOST_TURNS);
    }

    /// Launches of a chain: every set of data as often as the others.
    ///
    /// @param micros of one launch, about
    int chain(int turns, double micros) {
        long launches = (long) Math.ceil(chainMicros / Math.max(micros, 1e-3));
        return (int) (Math.ceilDiv(Math.min(launches, LONGEST_CHAIN), turns) * turns) + (launches == 0 ? turns : 0);
    }
}
