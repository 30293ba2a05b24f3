package dev.sidewinder.kvcache;

/// What the frames of a pool are used for at one moment, for an operator.
///
/// @param freeFrames     hold nothing
/// @param stateFrames    hold a state of a running sequence or a kept one
/// @param fencedStates   held a state that a launched step may still touch
/// @param kvFrames       hold blocks
/// @param heldBlocks     blocks with an owner
/// @param fencedBlocks   blocks that a launched step may still touch
/// @param strandedBlocks free blocks of frames that hold other blocks: of use for blocks, not for states
/// @param movedBlocks    blocks moved so far to empty frames
public record FrameUse(int freeFrames, int stateFrames, int fencedStates, int kvFrames, int heldBlocks, int fencedBlocks,
        int strandedBlocks, long movedBlocks) {}
