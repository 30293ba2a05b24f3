package dev.sidewinder.model.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalInt;

/// What each token id stands for. Immutable.
final class TokenTable {
    private final String[] spellings;
    private final byte[][] bytes;
    /// The text of a token whose bytes are whole characters; null where they are not.
    private final String[] texts;
    private final BitSet special;
    private final Map<String, Integer> ids;

    /// @param spellings one per id, none missing
    /// @param added     tokens that stand for their literal content rather than for byte spelling
    /// @param special   ids that are part of the format rather than of the text
    TokenTable(String[] spellings, BitSet added, BitSet special) {
        this.spellings = spellings.clone();
        this.special = (BitSet) special.clone();
        bytes = new byte[spellings.length][];
        texts = new String[spellings.length];
        ids = HashMap.newHashMap(spellings.length);
        var text = new StringBuilder();
        for (int id = 0; id < spellings.length; id++) {
            ids.put(spellings[id], id);
            bytes[id] = added.get(id)
                    ? spellings[id].getBytes(StandardCharsets.UTF_8)
                    : ByteAlphabet.bytes(spellings[id]);
            texts[id] = wholeText(bytes[id], text);
        }
    }

    private static String wholeText(byte[] bytes, StringBuilder text) {
        var decoder = new Utf8Decoder();
        text.setLength(0);
        decoder.accept(bytes, text);
        // U+FFFD may be an invalid byte, which must also end a character begun before it: leave those to the decoder
        return decoder.atBoundary() && text.indexOf("\uFFFD") < 0 ? text.toString() : null;
    }

    int size() {
        return spellings.length;
    }

    String spelling(int id) {
        return spellings[check(id)];
    }

    byte[] bytes(int id) {
        return bytes[check(id)];
    }

    /// The text of a token that holds whole characters only, else null.
    String wholeText(int id) {
        return texts[check(id)];
    }

    boolean isSpecial(int id) {
        return special.get(check(id));
    }

    OptionalInt idOf(String spelling) {
        Integer id = ids.get(spelling);
        return id == null ? OptionalInt.empty() : OptionalInt.of(id);
    }

    private int check(int id) {
        if (id < 0 || id >= spellings.length) {
            throw new IllegalArgumentException(
                    "token id " + id + " is outside the vocabulary [0, " + spellings.length + ")");
        }
        return id;
    }
}
