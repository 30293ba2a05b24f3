package dev.sidewinder.model.tokenizer;

import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;

/// Text to token ids and back, as `tokenizer.json` says. Safe for use by many threads.
public final class Tokenizer implements AutoCloseable {

    /// Opens `tokenizer.json`.
    ///
    /// @throws dev.sidewinder.model.checkpoint.CheckpointException when the file is not a tokenizer we can run
    public static Tokenizer open(Path tokenizerJson) {
        throw new UnsupportedOperationException("skeleton");
    }

    /// Encodes a whole text the way the file's own pipeline does: special tokens in the text are recognised, and the
    /// post-processor adds its tokens when asked.
    public int[] encode(String text, boolean addSpecialTokens) {
        throw new UnsupportedOperationException("skeleton");
    }

    /// Encodes a rendered prompt. Special tokens are recognised inside template runs only; pre-tokenisation sees the
    /// joined text. Nothing is added in front or behind.
    public int[] encode(List<TextRun> runs) {
        throw new UnsupportedOperationException("skeleton");
    }

    /// Decodes ids to text; bytes that are no UTF-8 become U+FFFD.
    public String decode(int[] ids, boolean skipSpecialTokens) {
        throw new UnsupportedOperationException("skeleton");
    }

    /// A decoder for one stream of tokens.
    public TokenDecoder decoder(boolean skipSpecialTokens) {
        throw new UnsupportedOperationException("skeleton");
    }

    /// The bytes a token stands for. A special token stands for the bytes of its name.
    public byte[] bytes(int id) {
        throw new UnsupportedOperationException("skeleton");
    }

    /// The token as the vocabulary spells it (`Ġthe`).
    public String spelling(int id) {
        throw new UnsupportedOperationException("skeleton");
    }

    /// The id of an added or ordinary token by its exact spelling.
    public OptionalInt idOf(String token) {
        throw new UnsupportedOperationException("skeleton");
    }

    /// Whether the token is flagged special (or is one of the chat format's control tokens).
    public boolean isSpecial(int id) {
        throw new UnsupportedOperationException("skeleton");
    }

    /// Ids are in `[0, vocabSize)`.
    public int vocabSize() {
        throw new UnsupportedOperationException("skeleton");
    }

    @Override
    public void close() {
        throw new UnsupportedOperationException("skeleton");
    }
}
