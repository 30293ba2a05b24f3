package dev.sidewinder.cuda.kernel;

/// The states that pieces of prompts leave in other slots on their way: device addresses of lists that change from step to step.
///
/// | address    | shape         | type                                                                                        |
/// |------------|---------------|---------------------------------------------------------------------------------------------|
/// | `start`    | `[count + 1]` | int32, first entry of each sequence in the other two                                        |
/// | `position` | `[entries]`   | int32, tokens of the sequence: a multiple of 128; one that the piece does not reach is passed over |
/// | `slot`     | `[entries]`   | int32, gets the state behind so many tokens; -1: none                                       |
///
/// No slot stands there twice, and none that a sequence of the step has.
public record KeptStates(long start, long position, long slot) {

    /// Nothing is kept.
    public static final KeptStates NONE = new KeptStates(0, 0, 0);

    public KeptStates {
        if (start != 0 && (position == 0 || slot == 0)) {
            throw new IllegalArgumentException("a list of states to be kept without positions or slots: 0x%x, 0x%x".formatted(position, slot));
        }
    }
}
