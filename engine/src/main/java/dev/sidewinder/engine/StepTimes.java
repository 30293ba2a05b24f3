package dev.sidewinder.engine;

import dev.sidewinder.engine.EngineObserver.StepPhases;

/// Takes the time of the engine thread's turns: each call ends a stretch that belongs to one phase.
final class StepTimes {

    private long schedule;
    private long launch;
    private long device;
    private long sample;
    /// The end of the last stretch.
    private long last;
    /// When the tokens of the step before were there, if there was one.
    private long tokensNanos;
    private boolean hadTokens;

    /// A turn begins.
    void begin() {
        schedule = 0;
        launch = 0;
        device = 0;
        sample = 0;
        last = System.nanoTime();
    }

    /// @return the time now
    long scheduled() {
        schedule += lap();
        return last;
    }

    void launched() {
        launch += lap();
    }

    void waited() {
        device += lap();
    }

    void sampled() {
        sample += lap();
    }

    private long lap() {
        long now = System.nanoTime();
        long nanos = now - last;
        last = now;
        return nanos;
    }

    /// Ends the turn's step, whose tokens were there at the end of the last stretch.
    ///
    /// @param launchedNanos when it was launched, perhaps in the turn before
    /// @return how long it took, less what was still the time of the step before
    long stepNanos(long launchedNanos) {
        long from = hadTokens ? Math.max(launchedNanos, tokensNanos) : launchedNanos;
        hadTokens = true;
        tokensNanos = last;
        return tokensNanos - from;
    }

    /// Ends the turn.
    StepPhases phases() {
        return new StepPhases(schedule, launch, device, sample, lap());
    }
}
