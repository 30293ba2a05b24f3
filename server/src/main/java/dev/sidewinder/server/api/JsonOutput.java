package dev.sidewinder.server.api;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;

/// Makes the generators that write all our JSON: compact, UTF-8, several values in a row without separators.
public final class JsonOutput {

    private JsonOutput() {}

    /// @param out a buffer in memory; never a socket
    public static JsonGenerator generator(OutputStream out) {
        try {
            // a generator flushes its own buffer only: our buffers have nothing behind them
            return StrictJson.FACTORY.createGenerator(out).disable(JsonGenerator.Feature.FLUSH_PASSED_TO_STREAM)
                    // an emoji as its four bytes, not as two escapes
                    .enable(JsonGenerator.Feature.COMBINE_UNICODE_SURROGATES_IN_UTF8);
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
    }
}
