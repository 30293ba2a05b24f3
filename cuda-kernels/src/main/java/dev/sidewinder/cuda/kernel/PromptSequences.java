package dev.sidewinder.cuda.kernel;

/// The pieces of prompts in a step: device addresses of what changes from step to step.
///
/// | address    | shape         | type                                                                                        |
/// |------------|---------------|---------------------------------------------------------------------------------------------|
/// | `start`    | `[count + 1]` | int32, first row of each sequence in the batch                                              |
/// | `position` | `[count]`     | int32, position of that row: a multiple of 128, or in a block to whose end the piece goes at most |
/// | `slot`     | `[count]`     | int32, -1: the rows are neither read nor written                                            |
///
/// No two sequences share a slot.
///
/// @param rows of all sequences together, or more: sizes the grid
/// @param kept states that are kept on the way
public record PromptSequences(long start, long position, long slot, int count, int rows, KeptStates kept) {

    public PromptSequences {
        if (count < 1 || rows < 1) {
            throw new IllegalArgumentException("prompt pieces: " + count + " sequences with " + rows + " rows");
        }
    }

    /// With nothing kept on the way.
    public PromptSequences(long start, long position, long slot, int count, int rows) {
        this(start, position, slot, count, rows, KeptStates.NONE);
    }
}
