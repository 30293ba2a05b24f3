package dev.sidewinder.model.tokenizer;

import dev.sidewinder.model.checkpoint.CheckpointException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.OptionalInt;

/// Text to token ids and back, as `tokenizer.json` says. Safe for use by many threads.
///
/// The file is loaded twice: as it is, and without added tokens. The second view is what conversation text goes through:
/// nothing in a text can become a control token there, however it is spelled.
public final class Tokenizer implements AutoCloseable {
    /// Longest text that is encoded in one call, in UTF-16 units. The library needs some hundred bytes for each.
    public static final int LARGEST_TEXT = 32 << 20;

    private final NativeTokenizer whole;
    private final NativeTokenizer plain;
    private final AddedTokenMatcher matcher;
    private final TokenTable table;

    private Tokenizer(NativeTokenizer whole, NativeTokenizer plain, AddedTokenMatcher matcher, TokenTable table) {
        this.whole = whole;
        this.plain = plain;
        this.matcher = matcher;
        this.table = table;
    }

    /// Opens `tokenizer.json`.
    ///
    /// @throws CheckpointException when the file is not a tokenizer we can run
    public static Tokenizer open(Path tokenizerJson) {
        TokenizerFile file = TokenizerFile.read(tokenizerJson);
        String name = tokenizerJson.getFileName().toString();
        NativeTokenizer whole = load(file.json(), name);
        try {
            NativeTokenizer plain = load(file.plainJson(), name);
            var tokenizer = new Tokenizer(whole, plain, new AddedTokenMatcher(file.added()), table(file));
            tokenizer.checkAddedIds(file.added(), name);
            return tokenizer;
        } catch (RuntimeException e) {
            whole.close();
            throw e;
        }
    }

    private static NativeTokenizer load(String json, String name) {
        try {
            return new NativeTokenizer(json);
        } catch (RuntimeException e) {
            throw new CheckpointException(name + ": the tokenizers library refuses it: " + e.getMessage(), e);
        }
    }

    private static TokenTable table(TokenizerFile file) {
        BitSet added = new BitSet();
        BitSet special = new BitSet();
        for (AddedToken token : file.added()) {
            added.set(token.id());
            special.set(token.id(), token.special() || ControlTokens.NAMES.contains(token.content()));
        }
        return new TokenTable(file.spellings(), added, special);
    }

    /// The library numbers added tokens by rules of its own and passes over ids it does not agree with.
    private void checkAddedIds(List<AddedToken> added, String name) {
        var expected = new StringBuilder();
        for (AddedToken token : added) {
            // the library's decoder takes the content for byte spelling
            expected.setLength(0);
            var utf8 = new Utf8Decoder();
            utf8.accept(ByteAlphabet.bytes(token.content()), expected);
            utf8.finish(expected);
            String found = whole.decode(token.id());
            if (!found.contentEquals(expected)) {
                close();
                throw new CheckpointException(name + ": added token \"" + token.content() + "\" has id " + token.id()
                        + "; for the tokenizers library that id is \"" + found + "\". New tokens must be numbered in"
                        + " their order, from the end of model.vocab on");
            }
        }
    }

    /// Encodes a whole text the way the file's own pipeline does: special tokens in the text are recognised, and the
    /// post-processor adds its tokens when asked. A lone surrogate counts as U+FFFD.
    ///
    /// @throws IllegalArgumentException when the text is longer than [#LARGEST_TEXT]
    public int[] encode(String text, boolean addSpecialTokens) {
        checkLength(text.length());
        return whole.encode(wellFormed(text), addSpecialTokens);
    }

    /// Encodes a rendered prompt. Special tokens are recognised inside template runs only; pre-tokenisation sees the
    /// joined text between two of them. Nothing is added in front or behind.
    ///
    /// @throws IllegalArgumentException when the joined text is longer than [#LARGEST_TEXT]
    public int[] encode(List<TextRun> runs) {
        long length = 0;
        for (TextRun run : runs) {
            length += run.text().length();
        }
        checkLength(length);
        var joined = new StringBuilder((int) length);
        List<AddedTokenMatcher.Span> trusted = new ArrayList<>();
        for (TextRun run : runs) {
            int from = joined.length();
            joined.append(run.text());
            if (run.fromTemplate() && joined.length() > from) {
                boolean touches = !trusted.isEmpty() && trusted.getLast().to() == from;
                int start = touches ? trusted.removeLast().from() : from;
                trusted.add(new AddedTokenMatcher.Span(start, joined.length()));
            }
        }
        return encodeAround(wellFormed(joined.toString()), trusted);
    }

    private int[] encodeAround(String text, List<AddedTokenMatcher.Span> trusted) {
        var ids = new IdBuffer();
        int from = 0;
        for (AddedTokenMatcher.Match match : matcher.find(text, trusted)) {
            appendPlain(text, from, match.start(), ids);
            ids.add(match.id());
            from = match.end();
        }
        appendPlain(text, from, text.length(), ids);
        return ids.toArray();
    }

    private void appendPlain(String text, int from, int to, IdBuffer ids) {
        if (to > from) {
            ids.addAll(plain.encode(text.substring(from, to), false));
        }
    }

    private static void checkLength(long length) {
        if (length > LARGEST_TEXT) {
            throw new IllegalArgumentException(
                    "text has " + length + " characters; at most " + LARGEST_TEXT + " are encoded at once");
        }
    }

    private static String wellFormed(String text) {
        StringBuilder fixed = null;
        for (int i = 0; i < text.length(); i++) {
            if (!Character.isSurrogate(text.charAt(i))) {
                continue;
            }
            if (Character.isSupplementaryCodePoint(text.codePointAt(i))) {
                i++;
            } else {
                fixed = fixed == null ? new StringBuilder(text) : fixed;
                fixed.setCharAt(i, '\uFFFD');
            }
        }
        return fixed == null ? text : fixed.toString();
    }

    /// Decodes ids to text; bytes that are no UTF-8 become U+FFFD.
    ///
    /// @param skipSpecialTokens leave out the tokens for which [#isSpecial] holds
    /// @throws IllegalArgumentException for an id outside the vocabulary
    public String decode(int[] ids, boolean skipSpecialTokens) {
        TokenDecoder decoder = decoder(skipSpecialTokens);
        var text = new StringBuilder();
        for (int id : ids) {
            text.append(decoder.accept(id));
        }
        return text.append(decoder.finish()).toString();
    }

    /// A decoder for one stream of tokens. However the stream is cut, its pieces joined are what [#decode] gives.
    public TokenDecoder decoder(boolean skipSpecialTokens) {
        return new StreamDecoder(table, skipSpecialTokens);
    }

    /// The bytes a token stands for. A special token stands for the bytes of its name.
    public byte[] bytes(int id) {
        return table.bytes(id).clone();
    }

    /// The token as the vocabulary spells it (`Ġthe`).
    public String spelling(int id) {
        return table.spelling(id);
    }

    /// The id of an added or ordinary token by its exact spelling.
    public OptionalInt idOf(String token) {
        return table.idOf(token);
    }

    /// Whether the token is flagged special (or is one of the chat format's control tokens).
    public boolean isSpecial(int id) {
        return table.isSpecial(id);
    }

    /// Ids are in `[0, vocabSize)`.
    public int vocabSize() {
        return table.size();
    }

    @Override
    public void close() {
        whole.close();
        plain.close();
    }
}
