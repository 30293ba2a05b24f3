package dev.sidewinder.kvcache;

/// Room on the host for suspended sequences, planned at start.
///
/// @param states sequences that can be suspended at once
/// @param blocks KV blocks of all of them together
public record HostShape(int states, int blocks) {

    /// Nothing can be suspended.
    public static final HostShape NONE = new HostShape(0, 0);

    public HostShape {
        if (states < 0 || blocks < 0) {
            throw new IllegalArgumentException("room for " + states + " states and " + blocks + " blocks");
        }
    }
}
