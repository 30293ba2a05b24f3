package dev.sidewinder.engine;

/// What can happen to a request, or to the memory that it goes on from, and must not show: a line of the table in
/// docs/same-answers.md.
public enum Happening {
    /// Cold = cached: its prompt is there, from another request, up to the last state in front of its last token.
    CACHED,
    /// Cold = cached: it holds an earlier prompt, the answer to it, and something more.
    CONTINUED,
    /// Cold = cached: it was computed before anybody asked, in two parts.
    PREPARED,
    /// Whole = pieces, alone = under load: its prompt is cut, and all others are in its steps.
    AMONG_OTHERS,
    /// Suspended = never suspended: in the middle of its answer it has to leave for an older one.
    SUSPENDED,
    /// Forked = copied: choices of one request go on from one prompt.
    CHOICES,
    /// Forked = copied: a session and its fork go on at once, beside another fork that says something else.
    FORKED,
    /// Forked = copied, suspended = never suspended: forks rest in files, and another engine goes on with them.
    FORKED_INTO_FILES
}
