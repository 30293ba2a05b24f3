package dev.sidewinder.bench.gpu;

import java.util.Arrays;

/// How repeated timings are spread.
///
/// @param medianMicros in the middle; of an even number, the mean of the two there
/// @param p95Micros    95 of 100 are not above it
record Spread(double medianMicros, double p95Micros) {

    /// @param micros at least one timing
    static Spread of(double... micros) {
        double[] sorted = micros.clone();
        Arrays.sort(sorted);
        int middle = sorted.length / 2;
        double median = sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
        return new Spread(median, Math.max(median, sorted[(int) Math.ceil(0.95 * sorted.length) - 1]));
    }
}
