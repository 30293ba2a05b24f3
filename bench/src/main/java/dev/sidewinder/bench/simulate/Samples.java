package dev.sidewinder.bench.simulate;

import java.util.Arrays;

/// Numbers of which percentiles are wanted: all of them are kept, so percentiles are exact (to the 24 bits of a float).
final class Samples {

    private float[] values = new float[64];
    private int size;
    private boolean sorted;
    private double sum;

    void add(double value) {
        if (size == values.length) {
            values = Arrays.copyOf(values, 2 * size);
        }
        values[size++] = (float) value;
        sum += value;
        sorted = false;
    }

    void clear() {
        size = 0;
        sum = 0;
    }

    int size() {
        return size;
    }

    double mean() {
        return size == 0 ? Double.NaN : sum / size;
    }

    /// The smallest value that at least so many percent of all do not exceed; NaN when there are none.
    double percentile(double percent) {
        if (size == 0) {
            return Double.NaN;
        }
        if (!sorted) {
            Arrays.sort(values, 0, size);
            sorted = true;
        }
        int rank = (int) Math.ceil(percent / 100 * size);
        return values[Math.clamp(rank, 1, size) - 1];
    }

    double max() {
        return percentile(100);
    }
}
