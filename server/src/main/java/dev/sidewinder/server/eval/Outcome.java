package dev.sidewinder.server.eval;

/// What came of asking a server one case.
public sealed interface Outcome {

    record Answered(Answer answer) implements Outcome {}

    /// The case does not fit into the length the server holds.
    ///
    /// @param reason as the server tells it
    record TooLong(String reason) implements Outcome {}
}
