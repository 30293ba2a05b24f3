package dev.sidewinder.server.api;

import dev.sidewinder.model.tokenizer.TextRun;
import dev.sidewinder.model.tokenizer.TokenDecoder;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.List;

/// The text side of a model with a tokenizer.
///
/// An embedding may have more rows than the tokenizer has tokens (it is padded to a round number). A model with random
/// weights does choose those ids; they stand for no text.
final class TokenizerText implements ModelText {

    private static final byte[] NO_BYTES = {};

    private final Tokenizer tokenizer;
    private final int size;

    TokenizerText(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
        this.size = tokenizer.vocabSize();
    }

    @Override
    public int[] encode(String text, boolean addSpecialTokens) {
        return tokenizer.encode(text, addSpecialTokens);
    }

    @Override
    public int[] encode(List<TextRun> runs) {
        return tokenizer.encode(runs);
    }

    @Override
    public String decode(int[] ids, boolean skipSpecialTokens) {
        return tokenizer.decode(Arrays.stream(ids).filter(id -> id < size).toArray(), skipSpecialTokens);
    }

    @Override
    public TokenDecoder decoder(boolean skipSpecialTokens) {
        TokenDecoder decoder = tokenizer.decoder(skipSpecialTokens);
        return new TokenDecoder() {
            @Override
            public String accept(int token) {
                return token < size ? decoder.accept(token) : "";
            }

            @Override
            public String finish() {
                return decoder.finish();
            }
        };
    }

    @Override
    public byte[] bytes(int id) {
        return id < size ? tokenizer.bytes(id) : NO_BYTES;
    }

    @Override
    public String spelling(int id) {
        return id < size ? tokenizer.spelling(id) : "";
    }
}
