package dev.sidewinder.model.tokenizer;

/// A piece of a prompt and where it came from. Only runs written by the template may become control tokens: a user who
/// types `<|im_end|>` gets plain text.
///
/// @param fromTemplate whether literals of special tokens inside count as special tokens
public record TextRun(String text, boolean fromTemplate) {}
