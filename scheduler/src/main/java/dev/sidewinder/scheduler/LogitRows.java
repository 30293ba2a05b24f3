package dev.sidewinder.scheduler;

/// For which tokens of a batch entry the step computes logits.
public enum LogitRows {
    /// a piece of a prompt whose end is not in this step
    NONE,
    /// the last token: the next one is sampled from it
    LAST,
    /// every token: prompt log-probabilities are wanted
    ALL
}
