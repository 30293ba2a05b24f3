package dev.sidewinder.engine;

/// What other threads ask of the engine thread.
sealed interface Command {

    /// Take on a request.
    record Submit(LiveRequest request) implements Command {}

    /// End what is left of a request.
    ///
    /// @param step steps completed when it was asked
    record Cancel(LiveRequest request, long step) implements Command {}

    /// End one choice of a request.
    ///
    /// @param step steps completed when it was asked
    record CancelChoice(LiveRequest request, int choice, long step) implements Command {}

    /// The reader of a paused request has caught up.
    record Resume(LiveRequest request) implements Command {}

    /// Stop before the next step.
    record Close() implements Command {}
}
