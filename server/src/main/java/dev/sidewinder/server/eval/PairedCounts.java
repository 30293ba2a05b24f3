package dev.sidewinder.server.eval;

/// The same cases answered twice.
///
/// @param bothRight  right in both runs
/// @param firstOnly  right in the first run only
/// @param secondOnly right in the second run only
/// @param neither    wrong in both
public record PairedCounts(int bothRight, int firstOnly, int secondOnly, int neither) {

    public PairedCounts {
        if (bothRight < 0 || firstOnly < 0 || secondOnly < 0 || neither < 0) {
            throw new IllegalArgumentException("a count is negative");
        }
    }

    public int cases() {
        return bothRight + firstOnly + secondOnly + neither;
    }

    public Proportion first() {
        return new Proportion(bothRight + firstOnly, cases());
    }

    public Proportion second() {
        return new Proportion(bothRight + secondOnly, cases());
    }

    /// Accuracy of the second run minus that of the first.
    public double difference() {
        return (double) (secondOnly - firstOnly) / cases();
    }

    /// Where the difference lies with 95 % confidence: the normal interval after half a case was added to each of the
    /// four counts, so that it has a width where nothing changed.
    /// Source: Agresti and Min 2005, "Simple improved confidence intervals for comparing matched proportions", §3.
    public Interval interval() {
        double n = cases() + 2.0;
        double first = (firstOnly + 0.5) / n;
        double second = (secondOnly + 0.5) / n;
        double centre = second - first;
        double half = Interval.NORMAL_95 * Math.sqrt((first + second - centre * centre) / n);
        return new Interval(Math.max(-1, centre - half), Math.min(1, centre + half));
    }

    /// How likely changes as uneven as these are if both runs are equally good: the exact test on the cases that changed.
    /// Source: McNemar 1947; two-sided binomial form, Agresti, "Categorical Data Analysis", §10.1.
    public double probabilityOfChance() {
        int changed = firstOnly + secondOnly;
        // sum of C(changed, k) / 2^changed; logarithms, as neither factor fits into a double for long sets
        double tail = 0;
        double logTerm = -changed * Math.log(2);
        for (int k = 0; k <= Math.min(firstOnly, secondOnly); k++) {
            tail += Math.exp(logTerm);
            logTerm += Math.log(changed - k) - Math.log(k + 1);
        }
        return Math.min(1, 2 * tail);
    }
}
