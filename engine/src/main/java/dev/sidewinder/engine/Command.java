package dev.sidewinder.engine;

/// What other threads ask of the engine thread.
sealed interface Command {

    /// Take on a request.
    record Submit(LiveRequest request) implements Command {}

    /// End what is left of a request.
    record Cancel(LiveRequest request) implements Command {}

    /// End one choice of a request.
    record CancelChoice(LiveRequest request, int choice) implements Command {}

    /// The reader of a paused request has caught up.
    record Resume(LiveRequest request) implements Command {}

    /// Stop before the next step.
    record Close() implements Command {}
}
