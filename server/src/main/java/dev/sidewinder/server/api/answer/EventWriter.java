package dev.sidewinder.server.api.answer;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.SerializableString;
import com.fasterxml.jackson.core.io.SerializedString;
import dev.sidewinder.server.api.ApiError;
import dev.sidewinder.server.api.JsonOutput;
import java.io.IOException;
import java.io.UncheckedIOException;

/// Frames JSON as server-sent events: one value on one `data:` line, an empty line behind it. One generator serves the
/// whole stream.
final class EventWriter implements AutoCloseable {

    private static final SerializableString DATA = new SerializedString("data: ");
    private static final SerializableString END = new SerializedString("\n\n");
    private static final SerializableString DONE = new SerializedString("data: [DONE]\n\n");
    private static final SerializableString ERROR = new SerializedString("event: error\ndata: ");

    private final JsonGenerator json;

    EventWriter(WireBuffer out) {
        json = JsonOutput.generator(out);
    }

    /// Writes JSON; the buffer cannot fail.
    @FunctionalInterface
    interface Body {
        void write(JsonGenerator json) throws IOException;
    }

    /// @param opening start of a JSON value, already in UTF-8; null = none
    /// @param closing its end; null = none
    void event(SerializableString opening, Body body, SerializableString closing) {
        try {
            json.writeRaw(DATA);
            if (opening != null) {
                json.writeRaw(opening);
            }
            body.write(json);
            if (closing != null) {
                json.writeRaw(closing);
            }
            json.writeRaw(END);
            json.flush();
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
    }

    void done() {
        raw(DONE);
    }

    /// The end of a stream that failed: no `[DONE]` follows.
    void error(ApiError error, String requestId) {
        try {
            json.writeRaw(ERROR);
            error.write(json, requestId);
            json.writeRaw(END);
            json.flush();
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
    }

    private void raw(SerializableString text) {
        try {
            json.writeRaw(text);
            json.flush();
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
    }

    @Override
    public void close() {
        try {
            json.close();
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
    }
}
