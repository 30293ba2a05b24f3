package dev.sidewinder.engine;

/// Sees the steps go by, for metrics. Called on the engine thread: must be quick and must not throw.
public interface EngineObserver {

    /// @param kind what the step held
    /// @param nanos from launch to tokens on the host
    default void stepCompleted(StepKind kind, int sequences, int tokens, long nanos, StepPhases phases) {}

    /// A cancelled sequence gave its memory back.
    ///
    /// @param steps steps between the cancel and the free
    default void freedAfterCancel(int steps) {}

    enum StepKind {
        PREFILL, DECODE, MIXED
    }

    /// Where the time of a step went, nanoseconds.
    record StepPhases(long schedule, long forward, long sample, long emit) {}

    EngineObserver NONE = new EngineObserver() {};
}
