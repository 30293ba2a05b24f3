package dev.sidewinder.server.api;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;

/// How many bytes a value takes as JSON, without keeping them.
final class JsonSize {

    private JsonSize() {}

    static boolean exceeds(JsonNode value, long maxBytes) {
        return of(value) > maxBytes;
    }

    static long of(JsonNode value) {
        var counter = new Counter();
        try (JsonGenerator json = JsonTree.MAPPER.createGenerator(counter)) {
            json.writeTree(value);
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return counter.bytes;
    }

    private static final class Counter extends OutputStream {
        private long bytes;

        @Override
        public void write(int b) {
            bytes++;
        }

        @Override
        public void write(byte[] buffer, int offset, int length) {
            bytes += length;
        }
    }
}
