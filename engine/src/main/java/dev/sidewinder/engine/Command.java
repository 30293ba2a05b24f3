package dev.sidewinder.engine;

import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.scheduler.Preparation;
import java.util.concurrent.CompletableFuture;
import java.util.function.Predicate;

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

    /// Compute what a prompt is expected to begin with, when there is nothing better to do.
    record Prepare(Preparation preparation) implements Command {}

    /// Drop what the prefix cache holds of some partitions.
    record DropPrefixes(Predicate<Partition> which, CompletableFuture<DroppedPrefixes> answer) implements Command {}

    /// Do something between two steps.
    record Task(EngineTask task) implements Command {}

    /// Stop before the next step.
    record Close() implements Command {}
}
