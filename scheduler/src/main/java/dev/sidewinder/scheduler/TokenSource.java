package dev.sidewinder.scheduler;

/// Where the tokens of a batch entry come from. A backend may compute the two in different ways (a chunked scan, a state
/// update), which differ in the last bits: a token's way follows from this and never from how many tokens run together.
public enum TokenSource {
    /// a piece of a prompt, also when it is one token long
    PROMPT,
    /// one token that the model chose, in a step that has completed
    GENERATED,
    /// one token that the model chooses in the step before this one, which is still under way: the backend takes it from
    /// there, and it does not stand among the entry's tokens yet
    UNREAD
}
