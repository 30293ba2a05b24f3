package dev.sidewinder.engine;

/// Sees the engine work, for metrics. Called on the engine thread unless a method says otherwise: must be quick and must
/// not throw.
public interface EngineObserver {

    /// @param kind      what the step held
    /// @param sequences entries of its batch
    /// @param tokens    tokens it ran
    /// @param nanos     from launch to tokens on the host, without the time in which the step before was still running: the
    ///                  steps' times add up to no more than time went by
    default void stepCompleted(StepKind kind, int sequences, int tokens, long nanos, StepPhases phases) {}

    /// A cancelled sequence gave its memory back.
    ///
    /// @param steps the most steps that can have completed between the arrival of the cancel and the free
    default void freedAfterCancel(int steps) {}

    /// The model computed NaN or infinity, and the request failed.
    ///
    /// @param where it was seen
    default void numericFailure(Sample.NotFinite.Where where) {}

    /// A mask left no token to choose, and the choice ended.
    default void deadEnd() {}

    /// A request left the engine, whatever way. Once the engine has ended, on the thread that submitted too late.
    ///
    /// @param outcome how it ended
    /// @param times   when what happened; later moments may be 0
    default void requestEnded(RequestOutcome outcome, GenerationTimes times) {}

    /// A place was refused. Called on the thread that asked for it.
    default void refused(Refusal reason) {}

    enum StepKind {
        PREFILL, DECODE, MIXED,
        /// no tokens: memory was copied that somebody waits for
        COPIES
    }

    /// How a request left the engine.
    enum RequestOutcome {
        /// every choice came to its own end, or was ended one by one
        COMPLETED,
        /// its owner gave it up as a whole
        CANCELLED,
        /// it got a [GenerationEvent.Failed]
        FAILED
    }

    /// Why a place was refused.
    enum Refusal {
        QUEUE_REQUESTS, QUEUE_TOKENS, SHARE_REQUESTS, SHARE_TOKENS, DRAINING, ENGINE_FAILED
    }

    /// Where the engine thread's time went in a turn, nanoseconds. With steps running ahead only `device` is time in which
    /// nothing but the device works; the rest passes beside it.
    ///
    /// @param schedule choosing the work, of this step or of the next one
    /// @param launch   launching it; a backend that computes on the calling thread does so here
    /// @param device   waiting for the device
    /// @param sample   describing what to sample, or sampling, and taking in the tokens
    /// @param emit     handing them out
    record StepPhases(long schedule, long launch, long device, long sample, long emit) {}

    EngineObserver NONE = new EngineObserver() {};
}
