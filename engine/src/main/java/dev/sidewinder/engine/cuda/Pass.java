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

    /// One generated token of each sequence; some rows may be padded.
    ///
    /// @param tokens int32 `[rows]`, -1 for padding
    record Decode(StepSequences sequences, int rows, long tokens) implements Pass {

        SelectiveStateUpdate.Rows updates() {
            return new SelectiveStateUpdate.Rows(sequences.slot(), sequences.position(), rows);
        }
    }

    /// Pieces of prompts, each from a multiple of 128 on, or within a block; no row is padded.
    ///
    /// @param kept   states that they leave on their way
    /// @param tokens int32 `[rows]`
    record Prompt(StepSequences sequences, int rows, KeptStates kept, long tokens) implements Pass {

        PromptSequences pieces() {
            return new PromptSequences(sequences.start(), sequences.position(), sequences.slot(), sequences.sequences(), rows, kept);
        }
    }

    /// Both: the rows of the generated tokens, then those of the pieces. Each part counts its rows from 0; what belongs to the
    /// second one begins `decode.rows()` rows into memory that they share.
    record Mixed(Decode decode, Prompt prompt) implements Pass {

        @Override
        public int rows() {
            return decode.rows() + prompt.rows();
        }
    }
}
