package dev.sidewinder.server.api.answer;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.sidewinder.server.api.JsonOutput;
import dev.sidewinder.server.api.ModelText;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Optional;

/// Bodies of the routes that generate nothing.
public final class SmallAnswers {

    private SmallAnswers() {}

    /// `{count, max_model_len, tokens, token_strs}` of `/tokenize`.
    ///
    /// @param spellings present when the tokens are to be spelled
    public static byte[] tokenized(int[] tokens, int maxModelTokens, Optional<ModelText> spellings) {
        return write(json -> {
            json.writeNumberField("count", tokens.length);
            json.writeNumberField("max_model_len", maxModelTokens);
            json.writeFieldName("tokens");
            json.writeArray(tokens, 0, tokens.length);
            json.writeFieldName("token_strs");
            if (spellings.isEmpty()) {
                json.writeNull();
                return;
            }
            json.writeStartArray();
            for (int token : tokens) {
                json.writeString(spellings.get().spelling(token));
            }
            json.writeEndArray();
        });
    }

    /// `{prompt}` of `/detokenize`.
    public static byte[] detokenized(String text) {
        return write(json -> json.writeStringField("prompt", text));
    }

    private static byte[] write(EventWriter.Body fields) {
        var out = new WireBuffer();
        try (JsonGenerator json = JsonOutput.generator(out)) {
            json.writeStartObject();
            fields.write(json);
            json.writeEndObject();
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return out.toByteArray();
    }
}
