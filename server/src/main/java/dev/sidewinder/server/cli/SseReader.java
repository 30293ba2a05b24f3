package dev.sidewinder.server.cli;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/// Reads server-sent events from a stream of bytes, as the HTML standard defines them (§9.2.6). One thread.
///
/// Bytes become text a line at a time, so a character that two network packets share stays whole.
final class SseReader implements AutoCloseable {

    /// @param type `message` unless the stream names another
    /// @param data the data lines, joined
    record Event(String type, String data) {}

    private final InputStream bytes;
    private boolean first = true;
    private boolean afterCarriageReturn;

    SseReader(InputStream bytes) {
        this.bytes = new BufferedInputStream(bytes);
    }

    /// The next event, or nothing when the stream has ended. An event without its closing empty line is no event.
    Optional<Event> next() throws IOException {
        String type = "";
        StringBuilder data = null;
        for (String line = readLine(); line != null; line = readLine()) {
            if (line.isEmpty()) {
                if (data != null) {
                    return Optional.of(new Event(type.isEmpty() ? "message" : type, data.toString()));
                }
                type = "";
                continue;
            }
            int colon = line.indexOf(':');
            String field = colon < 0 ? line : line.substring(0, colon);
            String value = colon < 0 ? "" : line.substring(colon + 1);
            if (value.startsWith(" ")) {
                value = value.substring(1);
            }
            if (field.equals("data")) {
                data = data == null ? new StringBuilder(value) : data.append('\n').append(value);
            } else if (field.equals("event")) {
                type = value;
            }
        }
        return Optional.empty();
    }

    /// One line without its end, which is LF, CR or CR LF; null at the end of the stream.
    private String readLine() throws IOException {
        var line = new ByteArrayOutputStream(256);
        int next = bytes.read();
        if (next == '\n' && afterCarriageReturn) {
            next = bytes.read();
        }
        afterCarriageReturn = false;
        if (next < 0) {
            return null;
        }
        while (next >= 0 && next != '\n' && next != '\r') {
            line.write(next);
            next = bytes.read();
        }
        // the LF of a CR LF is left for the next call: to look for it now could block
        afterCarriageReturn = next == '\r';
        String text = line.toString(StandardCharsets.UTF_8);
        if (first) {
            first = false;
            return text.startsWith("\ufeff") ? text.substring(1) : text;
        }
        return text;
    }

    @Override
    public void close() throws IOException {
        bytes.close();
    }
}
