package dev.sidewinder.server.eval;

/// How many of some cases are right.
///
/// @param cases at least 1
public record Proportion(int right, int cases) {

    public Proportion {
        if (cases < 1 || right < 0 || right > cases) {
            throw new IllegalArgumentException(right + " of " + cases + " is no proportion");
        }
    }

    public double value() {
        return (double) right / cases;
    }

    /// Where the proportion of all such cases lies with 95 % confidence. Unlike the plain normal interval it has a width
    /// where all cases are right.
    /// Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    public Interval interval() {
        double z = Interval.NORMAL_95;
        double z2 = z * z;
        double centre = (right + z2 / 2) / (cases + z2);
        double half = z / (cases + z2) * Math.sqrt((double) right * (cases - right) / cases + z2 / 4);
        // exact at the ends, where the sum above leaves a rounding error
        return new Interval(right == 0 ? 0 : centre - half, right == cases ? 1 : centre + half);
    }
}
