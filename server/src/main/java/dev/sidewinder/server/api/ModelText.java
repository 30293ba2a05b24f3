package dev.sidewinder.server.api;

import dev.sidewinder.model.tokenizer.TextRun;
import dev.sidewinder.model.tokenizer.TokenDecoder;
import java.util.List;

/// Text to token ids and back, as far as requests and answers need it. Safe for use by many threads.
public interface ModelText {

    /// Encodes a whole text the way the tokenizer's own pipeline does.
    int[] encode(String text, boolean addSpecialTokens);

    /// Encodes a rendered prompt; special tokens are recognised in template runs only.
    int[] encode(List<TextRun> runs);

    String decode(int[] ids, boolean skipSpecialTokens);

    /// A decoder for one stream of tokens.
    TokenDecoder decoder(boolean skipSpecialTokens);

    /// The bytes a token stands for.
    byte[] bytes(int id);

    /// The token as the vocabulary spells it.
    String spelling(int id);
}
