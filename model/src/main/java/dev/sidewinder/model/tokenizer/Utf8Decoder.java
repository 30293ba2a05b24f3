package dev.sidewinder.model.tokenizer;

/// Incremental UTF-8 decoder. Bytes that are no UTF-8 become one U+FFFD per maximal part that could have begun a
/// character, however the bytes are cut into pieces.
///
/// Source: Unicode 15, §3.9 "U+FFFD Substitution of Maximal Subparts" and table 3-7 (also what the `tokenizers` library
/// does). The JDK's own decoder differs: it makes one U+FFFD of an encoded surrogate, where this makes three.
final class Utf8Decoder {
    private static final char REPLACEMENT = '\uFFFD';

    private int codePoint;
    /// Continuation bytes still missing from the character that has begun; 0 between characters.
    private int missing;
    /// Range of the next continuation byte; narrower than 80..BF only after E0, ED, F0 and F4.
    private int lowest;
    private int highest;

    /// Whether no character has begun.
    boolean atBoundary() {
        return missing == 0;
    }

    void accept(byte[] bytes, StringBuilder text) {
        for (byte signed : bytes) {
            int value = signed & 0xFF;
            if (missing > 0 && (value < lowest || value > highest)) {
                missing = 0;
                text.append(REPLACEMENT);
            }
            if (missing == 0) {
                begin(value, text);
            } else {
                extend(value, text);
            }
        }
    }

    /// Ends the text: a character that has begun becomes U+FFFD.
    void finish(StringBuilder text) {
        if (missing > 0) {
            missing = 0;
            text.append(REPLACEMENT);
        }
    }

    private void begin(int value, StringBuilder text) {
        if (value < 0x80) {
            text.append((char) value);
            return;
        }
        lowest = 0x80;
        highest = 0xBF;
        if (value >= 0xC2 && value <= 0xDF) {
            missing = 1;
            codePoint = value & 0x1F;
        } else if (value >= 0xE0 && value <= 0xEF) {
            missing = 2;
            codePoint = value & 0x0F;
            lowest = value == 0xE0 ? 0xA0 : lowest;
            highest = value == 0xED ? 0x9F : highest;
        } else if (value >= 0xF0 && value <= 0xF4) {
            missing = 3;
            codePoint = value & 0x07;
            lowest = value == 0xF0 ? 0x90 : lowest;
            highest = value == 0xF4 ? 0x8F : highest;
        } else {
            text.append(REPLACEMENT);
        }
    }

    private void extend(int value, StringBuilder text) {
        codePoint = codePoint << 6 | value & 0x3F;
        lowest = 0x80;
        highest = 0xBF;
        if (--missing == 0) {
            text.appendCodePoint(codePoint);
        }
    }
}
