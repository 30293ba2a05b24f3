package dev.sidewinder.server.metrics;

import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.DoubleAdder;

/// How values are spread. Any thread; a scrape beside an observation may see one without the other.
public final class Histogram {

    private static final double NANOS = 1e9;

    private final double[] bounds;
    private final AtomicLongArray counts;
    private final DoubleAdder sum = new DoubleAdder();

    /// @param bounds upper bounds, ascending; above the last follows infinity
    Histogram(double[] bounds) {
        for (int i = 1; i < bounds.length; i++) {
            if (bounds[i] <= bounds[i - 1]) {
                throw new IllegalArgumentException("bounds must ascend: " + bounds[i] + " follows " + bounds[i - 1]);
            }
        }
        this.bounds = bounds.clone();
        this.counts = new AtomicLongArray(bounds.length + 1);
    }

    public void observe(double value) {
        int low = 0;
        int high = bounds.length;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (value <= bounds[middle]) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        counts.incrementAndGet(low);
        sum.add(value);
    }

    public void observeNanos(long nanos) {
        observe(nanos / NANOS);
    }

    int buckets() {
        return counts.length();
    }

    /// The upper bound of a bucket; infinity for the last.
    double bound(int bucket) {
        return bucket < bounds.length ? bounds[bucket] : Double.POSITIVE_INFINITY;
    }

    /// Values in this bucket alone.
    long count(int bucket) {
        return counts.get(bucket);
    }

    double sum() {
        return sum.sum();
    }
}
