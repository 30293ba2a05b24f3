package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.kernel.KeptStates;
import dev.sidewinder.cuda.kernel.PromptSequences;
import dev.sidewinder.cuda.kernel.SelectiveStateUpdate;
import dev.sidewinder.cuda.kernel.StepSequences;

/// One run through all layers: rows of the residual stream, one per token, and where their sequences live. Everything is a
/// device address, read when the kernels run.
sealed interface Pass {

    /// Rows, padded ones included.
    int rows();

    StepSequences sequences();

    /// One generated token of each sequence; some rows may be padded.
    record Decode(StepSequences sequences, int rows) implements Pass {

        SelectiveStateUpdate.Rows updates() {
            return new SelectiveStateUpdate.Rows(sequences.slot(), sequences.position(), rows);
        }
    }

    /// Pieces of prompts, each from a multiple of 128 on, or within a block; no row is padded.
    ///
    /// @param kept states that they leave on their way
    record Prompt(StepSequences sequences, int rows, KeptStates kept) implements Pass {

        PromptSequences pieces() {
            return new PromptSequences(sequences.start(), sequences.position(), sequences.slot(), sequences.sequences(), rows, kept);
        }
    }

    /// The slot of each row, for kernels that skip padded rows; 0 where there are none.
    default long rowSlot() {
        return switch (this) {
            case Decode decode -> decode.sequences().slot();
            case Prompt _ -> 0;
        };
    }
}
