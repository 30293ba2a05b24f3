package dev.sidewinder.kvcache;

/// A sequence on its way back from the host area: its blocks in their order, then its state. Until the last of it has been handed out,
/// its places in the host area stay as they are, so that it can turn back.
final class Arrival implements Journey {

    final SequenceMemory memory;
    final SuspendedMemory from;
    /// Blocks handed out.
    int come;

    Arrival(SequenceMemory memory, SuspendedMemory from) {
        this.memory = memory;
        this.from = from;
    }

    int missing() {
        return from.blocks().length - come;
    }
}
