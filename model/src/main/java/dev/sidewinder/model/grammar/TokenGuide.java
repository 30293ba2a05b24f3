package dev.sidewinder.model.grammar;

/// Says what one answer may go on with. Asked before each token and told of each one, in order; a function of the tokens
/// it was told of and of nothing else. For one answer, one thread.
public interface TokenGuide {

    /// The tokens that may come next; stays valid until [#accept].
    TokenMask allowed();

    /// Takes the token that came next, one of those allowed.
    void accept(int token);

    /// Whether the answer is complete: nothing more is to be generated.
    boolean isComplete();
}
