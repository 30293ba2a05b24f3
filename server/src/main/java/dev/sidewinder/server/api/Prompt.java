package dev.sidewinder.server.api;

/// One prompt of a text completion.
public sealed interface Prompt {

    record Text(String text) implements Prompt {}

    /// @param ids each in `[0, vocabSize)`, at least one; not to be changed
    record Tokens(int[] ids) implements Prompt {}
}
