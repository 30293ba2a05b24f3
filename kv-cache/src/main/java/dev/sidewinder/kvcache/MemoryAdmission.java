package dev.sidewinder.kvcache;

/// What became of a sequence's wish for memory.
public sealed interface MemoryAdmission {

    /// It has its slot, its share of the prefix tree and a promise of its blocks.
    record Granted(SequenceMemory memory) implements MemoryAdmission {}

    /// Running sequences hold or are promised what it takes: one of them has to end, or to be suspended.
    record WaitForOthers() implements MemoryAdmission {}

    /// There is room, and it comes free with steps that are under way or memory work that is queued. Ask again when they
    /// have completed.
    record WaitForSteps() implements MemoryAdmission {}

    /// It takes longer than there is room for, whatever else runs. Both numbers are told.
    record NeverFits(FrameShape.NeverFits numbers) implements MemoryAdmission {}
}
