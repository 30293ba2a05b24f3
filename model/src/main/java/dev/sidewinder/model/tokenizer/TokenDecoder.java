package dev.sidewinder.model.tokenizer;

/// Turns a stream of token ids into text without ever splitting a character. For one stream, one thread.
public interface TokenDecoder {

    /// The text that became whole with this token; empty while a character is incomplete.
    String accept(int token);

    /// What is left at the end: incomplete bytes as U+FFFD, else the empty string.
    String finish();
}
