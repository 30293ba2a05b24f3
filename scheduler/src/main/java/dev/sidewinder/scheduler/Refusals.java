package dev.sidewinder.scheduler;

/// When to ask again for memory that there was none of. Looking for a long prompt among the kept ones takes longer than all else
/// in a step (0.2 ms for 100,000 tokens), so it is not done in every step: only as long as the steps under way may bring what is missing, after
/// something was given back, and now and then, since others may have computed a part of the prompt meanwhile.
///
/// While somebody leaves for the host, room comes free with steps and nothing says so. It is not asked more often for that: in the simulator
/// (docs/simulator.md) not one question was put off for it, since nearly all are away within two steps.
final class Refusals {

    /// After so many, nothing that was given back is held by a step under way.
    private static final int STEPS_UNDER_WAY = 2;
    private static final int NOW_AND_THEN_STEPS = 8;

    private Object refused;
    /// Completed steps when it was refused first, or when something was given back since.
    private long hopeStep;
    private long askedStep;

    /// Whether there may be memory for somebody.
    ///
    /// @param completedStep the latest
    boolean mayFit(Object sequence, long completedStep) {
        return sequence != refused || completedStep - hopeStep <= STEPS_UNDER_WAY
                || completedStep - askedStep >= NOW_AND_THEN_STEPS;
    }

    void refused(Object sequence, long completedStep) {
        if (sequence != refused) {
            refused = sequence;
            hopeStep = completedStep;
        }
        askedStep = completedStep;
    }

    /// Memory was given back.
    void hope(long completedStep) {
        hopeStep = completedStep;
    }
}
