package dev.sidewinder.server.api;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/// Checks that bytes are UTF-8, and nothing that a JSON parser would take for another encoding.
final class Utf8 {

    private static final int PIECE_CHARS = 8_192;

    private Utf8() {}

    /// @param what names the bytes in messages
    /// @throws ApiException 400 `invalid_json`
    static void check(byte[] body, String what) {
        if (body.length >= 3 && body[0] == (byte) 0xEF && body[1] == (byte) 0xBB && body[2] == (byte) 0xBF) {
            throw ApiErrors.invalidJson("Reading " + what + ": it starts with a byte order mark; leave that out.");
        }
        // JSON begins with two ASCII characters or is one byte long, so a zero here is UTF-16 or UTF-32
        for (int i = 0; i < Math.min(2, body.length); i++) {
            if (body[i] == 0) {
                throw ApiErrors.invalidJson("Reading " + what + ": it holds zero bytes; send it in UTF-8.");
            }
        }
        CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT);
        ByteBuffer bytes = ByteBuffer.wrap(body);
        CharBuffer chars = CharBuffer.allocate(PIECE_CHARS);
        CoderResult result;
        do {
            chars.clear();
            result = decoder.decode(bytes, chars, true);
        } while (result.isOverflow());
        if (result.isError()) {
            throw ApiErrors.invalidJson("Reading " + what + ": the bytes at offset " + bytes.position() + " are not UTF-8.");
        }
    }
}
