package dev.sidewinder.server.api;

/// Under which names reasoning goes out. Clients disagree on the name, so the default is to send both.
public enum ReasoningFields {
    BOTH, REASONING, REASONING_CONTENT,
    /// inside the content, between `<think>` and `</think>`
    INLINE
}
