package dev.sidewinder.engine;

import dev.sidewinder.cuda.kernel.SampleResults;

/// Reads what a device chose. The other direction is [SamplingState#describe].
public final class DeviceSamples {

    private DeviceSamples() {}

    /// The same as [Sampler#sample] would have given for the row's logits.
    ///
    /// @return null for a padded row
    /// @throws IllegalStateException when its parameters leave no token any weight
    public static Sample read(SampleResults results, int row) {
        return switch (results.outcome(row)) {
            case CHOSEN -> new Sample.Chosen(results.token(row), results.alternatives(row) < 0 ? null : LogProbabilities.of(results, row));
            case NOTHING_ALLOWED -> Sample.NOTHING_ALLOWED;
            case NOT_FINITE -> Sample.NOT_FINITE;
            case NO_WEIGHT -> throw new IllegalStateException("row " + row + ": no token has any weight under its sampling parameters");
            case PADDED -> null;
        };
    }
}
