package dev.sidewinder.kvcache;

/// Room on the host for suspended sequences, planned at start.
///
/// @param states     sequences that can be suspended at once
/// @param blocks     KV blocks of all of them together
/// @param stepBlocks that a step copies there and back at most, a state counting as many as a frame has; a single copy is always
///                   made. What is more goes with the steps to come, so that no step waits for a long sequence
public record HostShape(int states, int blocks, int stepBlocks) {

    /// Nothing can be suspended.
    public static final HostShape NONE = new HostShape(0, 0);

    public HostShape {
        if (states < 0 || blocks < 0 || stepBlocks < 1) {
            throw new IllegalArgumentException("room for " + states + " states and " + blocks + " blocks, of which a step copies "
                    + stepBlocks);
        }
    }

    /// A step copies whatever there is.
    public HostShape(int states, int blocks) {
        this(states, blocks, Integer.MAX_VALUE);
    }

    /// The same room, and so many blocks in a step.
    public HostShape withStepBlocks(int most) {
        return new HostShape(states, blocks, most);
    }
}
