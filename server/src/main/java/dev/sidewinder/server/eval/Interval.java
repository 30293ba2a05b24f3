package dev.sidewinder.server.eval;

/// A range in which a value lies with 95 % confidence.
public record Interval(double low, double high) {

    /// 97.5th percentile of the standard normal distribution.
    static final double NORMAL_95 = 1.959963984540054;
}
