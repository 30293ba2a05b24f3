package dev.sidewinder.kvcache;

/// Content that goes from the device to the host area or back.
///
/// @param kind   what it is
/// @param device slot or place of a block on the device
/// @param host   index of a state or of a block in the host area
public record HostCopy(Kind kind, int device, int host) {

    /// What is copied.
    public enum Kind {
        STATE, BLOCK
    }
}
