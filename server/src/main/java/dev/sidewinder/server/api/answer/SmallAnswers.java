package dev.sidewinder.server.api.answer;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.sidewinder.server.api.JsonOutput;
import dev.sidewinder.server.api.ModelText;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
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

    /// `{prompt, token_ids, count, special_runs}` of a chat or one prompt; a list of them for several.
    public static byte[] rendered(List<RenderedPrompt> prompts) {
        if (prompts.size() == 1) {
            return write(json -> writeFields(json, prompts.getFirst()));
        }
        var out = new WireBuffer();
        try (JsonGenerator json = JsonOutput.generator(out)) {
            json.writeStartArray();
            for (RenderedPrompt prompt : prompts) {
                json.writeStartObject();
                writeFields(json, prompt);
                json.writeEndObject();
            }
            json.writeEndArray();
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return out.toByteArray();
    }

    private static void writeFields(JsonGenerator json, RenderedPrompt prompt) throws IOException {
        json.writeStringField("prompt", prompt.text());
        json.writeFieldName("token_ids");
        json.writeArray(prompt.tokens(), 0, prompt.tokens().length);
        json.writeNumberField("count", prompt.tokens().length);
        json.writeArrayFieldStart("special_runs");
        for (RenderedPrompt.Run run : prompt.specialRuns()) {
            json.writeArray(new int[] {run.start(), run.end()}, 0, 2);
        }
        json.writeEndArray();
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
