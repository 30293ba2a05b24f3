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
    record NotFinite() implements Sample {}

    Sample NOTHING_ALLOWED = new NothingAllowed();
    Sample NOT_FINITE = new NotFinite();
}
