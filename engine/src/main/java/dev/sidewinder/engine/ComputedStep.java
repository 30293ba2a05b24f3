package dev.sidewinder.engine;

/// A step whose logits are there already: what a backend launches that computes on the calling thread.
final class ComputedStep implements LaunchedStep {

    private final Logits logits;
    private final Sample[] samples;

    ComputedStep(Logits logits) {
        this.logits = logits;
        this.samples = new Sample[logits.rows()];
    }

    @Override
    public boolean sample(RowSampler rows) {
        for (int row = 0; row < samples.length; row++) {
            samples[row] = rows.sample(row, logits.values(), logits.offset(row));
        }
        return false;
    }

    @Override
    public Sample[] await() {
        return samples;
    }

    @Override
    public boolean isFinite(int entry) {
        return !logits.spoiled().get(entry);
    }
}
