package dev.sidewinder.bench.simulate;

import java.util.function.DoubleFunction;
import java.util.function.DoublePredicate;

/// Looks for the most load under which a policy keeps what was promised to clients.
///
/// @param firstTokenSeconds 99 of 100 requests get their first token within this time
/// @param gapSeconds        and 99 of 100 tokens come within this time of the one before
record Capacity(double firstTokenSeconds, double gapSeconds) {

    /// The answer is within so much of the truth, as a part of it.
    private static final double EXACTNESS = 0.05;
    /// Where the search begins, and where it gives up.
    private static final double LEAST = 1.0 / 64;
    private static final double MOST = 64;

    Capacity {
        if (!(firstTokenSeconds > 0) || !(gapSeconds > 0)) {
            throw new IllegalArgumentException("a first token within " + firstTokenSeconds + " s and gaps within " + gapSeconds
                    + " s cannot be kept; both are above 0");
        }
    }

    /// Whether a run kept it. Who was refused did not get a first token in time.
    boolean isKept(SimulationResult result) {
        GroupStats all = result.all();
        boolean refusals = all.refused * 100 > all.finished + all.refused;
        // without any samples there is nothing to keep
        return !refusals && !(all.firstTokenSeconds.percentile(99) > firstTokenSeconds) && !(all.gapSeconds.percentile(99) > gapSeconds);
    }

    /// @param run plays a load, a factor by which rates are multiplied
    /// @return the largest load found that is kept; 0 when not even the least is
    double most(DoubleFunction<SimulationResult> run) {
        return search(load -> isKept(run.apply(load)));
    }

    /// @param kept assumed to hold up to some load and not beyond
    static double search(DoublePredicate kept) {
        double good = 0;
        double bad = 1;
        while (kept.test(bad)) {
            good = bad;
            bad *= 2;
            if (bad > MOST) {
                return good;
            }
        }
        while (good == 0 && bad > LEAST) {
            double half = bad / 2;
            if (kept.test(half)) {
                good = half;
            } else {
                bad = half;
            }
        }
        while (good > 0 && bad / good > 1 + EXACTNESS) {
            double middle = Math.sqrt(good * bad);
            if (kept.test(middle)) {
                good = middle;
            } else {
                bad = middle;
            }
        }
        return good;
    }
}
