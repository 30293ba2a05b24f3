package dev.sidewinder.engine;

/// What came out of a row of logits.
public sealed interface Sample {

    /// A token.
    ///
    /// @param logprobs null unless asked for
    record Chosen(int token, TokenLogprobs logprobs) implements Sample {}

    /// Penalties, bans and masks left nothing to choose from.
    record NothingAllowed() implements Sample {}

    /// The model computed NaN or infinity.
    ///
    /// @param where it was seen
    record NotFinite(Where where) implements Sample {

        /// What was looked at.
        public enum Where {
            LOGITS,
            /// the last hidden state of a piece of a prompt
            HIDDEN
        }
    }

    Sample NOTHING_ALLOWED = new NothingAllowed();
    Sample NOT_FINITE = new NotFinite(NotFinite.Where.LOGITS);
    Sample PIECE_NOT_FINITE = new NotFinite(NotFinite.Where.HIDDEN);
}
