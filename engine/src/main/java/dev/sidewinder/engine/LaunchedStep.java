package dev.sidewinder.engine;

/// A step that a backend has begun: first [#sample], then [#await], once each, on the engine thread.
public interface LaunchedStep {

    /// Has something chosen from every row of logits, in the order of the batch's entries. To be called when the host has
    /// taken in the tokens of all steps before this one, and before the next one is launched.
    ///
    /// @return whether the next step may be launched before this one is awaited: the backend then hands on by itself what
    ///         it chose, to the entries whose source is [dev.sidewinder.scheduler.TokenSource#UNREAD]
    boolean sample(RowSampler rows);

    /// Waits until the step has run.
    ///
    /// @return what came of each row; null where the sequence had no token to run, because the step before chose none
    Sample[] await();

    /// Whether an entry has left numbers behind. To be asked when the step has been awaited. False for a piece of a prompt that
    /// left NaN or infinity in the last hidden state of one of its tokens, whether or not logits were wanted of it; of a
    /// generated token its row of logits says so, and [#await].
    ///
    /// @param entry of the batch
    boolean isFinite(int entry);
}
