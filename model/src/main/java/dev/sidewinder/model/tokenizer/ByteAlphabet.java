package dev.sidewinder.model.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/// The 256 printable characters that stand for bytes in a byte-level vocabulary.
///
/// Source: GPT-2's `bytes_to_unicode`: printable Latin-1 stands for itself, the other bytes follow from U+0100 on.
final class ByteAlphabet {
    private static final int FIRST_SUBSTITUTE = 0x100;
    private static final char[] CHARACTERS = new char[256];
    /// Byte of a character; -1 for characters outside the alphabet.
    private static final short[] BYTES = new short[FIRST_SUBSTITUTE + 256];

    static {
        Arrays.fill(BYTES, (short) -1);
        char substitute = FIRST_SUBSTITUTE;
        for (int value = 0; value < 256; value++) {
            boolean printable = value >= '!' && value <= '~' || value >= 0xA1 && value <= 0xAC || value >= 0xAE;
            char character = printable ? (char) value : substitute++;
            CHARACTERS[value] = character;
            BYTES[character] = (short) value;
        }
    }

    private ByteAlphabet() {}

    static char character(int value) {
        return CHARACTERS[value & 0xFF];
    }

    /// The bytes a vocabulary entry stands for. An entry with a character outside the alphabet cannot come from text;
    /// like the library's decoder we let it stand for its own UTF-8.
    static byte[] bytes(String spelling) {
        byte[] bytes = new byte[spelling.length()];
        for (int i = 0; i < bytes.length; i++) {
            char character = spelling.charAt(i);
            if (character >= BYTES.length || BYTES[character] < 0) {
                return spelling.getBytes(StandardCharsets.UTF_8);
            }
            bytes[i] = (byte) BYTES[character];
        }
        return bytes;
    }
}
