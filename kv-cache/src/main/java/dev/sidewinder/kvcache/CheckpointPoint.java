package dev.sidewinder.kvcache;

/// Why the state of a sequence is kept at some position. A conversation goes on from such points.
public enum CheckpointPoint {
    /// end of the system message and tools, common to many conversations
    SYSTEM,
    /// start of a generation prompt: where the next turn of the conversation begins to differ
    TURN_START,
    /// end of an answer to which a tool result will be added
    TURN_END,
    /// where a sequence was forked
    BRANCH,
    /// somewhere on the way through a long prompt
    INTERVAL
}
