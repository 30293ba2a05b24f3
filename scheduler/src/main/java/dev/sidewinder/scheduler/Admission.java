package dev.sidewinder.scheduler;

/// What became of a new sequence.
public sealed interface Admission {

    /// It waits for its turn.
    record Queued() implements Admission {}

    /// It can never run: it may get longer than any sequence can be here.
    ///
    /// @param tokens prompt and longest answer of the sequence
    /// @param limit  tokens one sequence can have, the smaller of the length limit and the whole cache
    record NeverFits(long tokens, long limit) implements Admission {}
}
