package dev.sidewinder.bench;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// The repeats of one test. Those that other programs disturbed are kept apart: the median is over quiet ones, unless
/// there are none.
final class Measurement {

    /// How often and how patiently a test is repeated.
    ///
    /// @param repeats  quiet repeats wanted
    /// @param patience wait before a repeat for the machine to become quiet, at most
    /// @param narrator is told between repeats, never while one runs
    record Plan(int repeats, Duration patience, Narrator narrator) {
        /// Disturbed repeats are made up for, within reason.
        int attempts() {
            return 3 * repeats;
        }
    }

    /// A unit of work whose speed is measured.
    @FunctionalInterface
    interface Work {
        /// Does it once.
        ///
        /// @return its rate, in the unit of the measurement
        double run() throws Exception;
    }

    private final String name;
    private final String unit;
    private final List<Double> quiet = new ArrayList<>();
    private final List<Double> disturbed = new ArrayList<>();

    Measurement(String name, String unit) {
        this.name = name;
        this.unit = unit;
    }

    /// Repeats the work until there are enough quiet results or the attempts are used up.
    ///
    /// @param work told apart from its set-up by itself: it returns the rate of what counts
    static Measurement of(String name, String unit, Plan plan, Work work) throws Exception {
        var measurement = new Measurement(name, unit);
        for (int i = 0; i < plan.attempts() && measurement.quiet.size() < plan.repeats(); i++) {
            String repeat = "repeat " + (measurement.quiet.size() + 1) + " of " + plan.repeats();
            plan.narrator().at(repeat + ", waiting for a quiet machine");
            QuietMachine.await(plan.patience());
            plan.narrator().at(repeat);
            QuietMachine.Mark mark = QuietMachine.mark();
            double rate = work.run();
            measurement.add(rate, QuietMachine.since(mark));
        }
        return measurement;
    }

    void add(double rate, QuietMachine.Disturbance disturbance) {
        (disturbance.quiet() ? quiet : disturbed).add(rate);
    }

    /// Takes the repeats of another measurement of the same thing.
    void addAll(Measurement other) {
        quiet.addAll(other.quiet);
        disturbed.addAll(other.disturbed);
    }

    String name() {
        return name;
    }

    String unit() {
        return unit;
    }

    int quietRepeats() {
        return quiet.size();
    }

    int repeats() {
        return quiet.size() + disturbed.size();
    }

    /// False when no repeat was quiet: then the figures are those of the disturbed ones, and worth little.
    boolean usable() {
        return !quiet.isEmpty();
    }

    double median() {
        double[] sorted = sorted();
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    double min() {
        return sorted()[0];
    }

    double max() {
        double[] sorted = sorted();
        return sorted[sorted.length - 1];
    }

    private double[] sorted() {
        double[] values = (quiet.isEmpty() ? disturbed : quiet).stream().mapToDouble(Double::doubleValue).toArray();
        Arrays.sort(values);
        return values;
    }
}
