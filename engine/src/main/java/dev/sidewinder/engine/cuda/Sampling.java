package dev.sidewinder.engine.cuda;

/// How far a step goes by itself.
public enum Sampling {
    /// logits come to the host, which chooses from them
    HOST,
    /// the device chooses, as far as it can; a step is launched when the tokens of the one before have been read
    DEVICE,
    /// the same, and a step is launched as soon as the device has what it needs, before the tokens of the one before have been
    /// read
    AHEAD
}
