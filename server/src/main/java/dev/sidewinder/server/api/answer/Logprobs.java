package dev.sidewinder.server.api.answer;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.sidewinder.engine.TokenLogprobs;
import dev.sidewinder.server.api.ModelText;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;

/// Writes log-probabilities in the forms of chats, of text completions, and of prompts.
final class Logprobs {

    /// JSON knows no infinity: what is impossible gets this instead.
    private static final float FLOOR = -9_999f;

    private final Optional<ModelText> text;

    Logprobs(Optional<ModelText> text) {
        this.text = text;
    }

    /// `{"content":[{token, logprob, bytes, top_logprobs}]}`.
    ///
    /// @param top alternatives per token at most
    void writeChat(JsonGenerator json, TokenReport report, int top) throws IOException {
        json.writeStartObject();
        json.writeArrayFieldStart("content");
        for (int i = 0; i < report.size(); i++) {
            TokenLogprobs logprobs = report.logprobs(i);
            json.writeStartObject();
            writeToken(json, report.id(i), logprobs.logprob());
            json.writeArrayFieldStart("top_logprobs");
            for (int k = 0; k < Math.min(top, logprobs.topTokens().length); k++) {
                json.writeStartObject();
                writeToken(json, logprobs.topTokens()[k], logprobs.topLogprobs()[k]);
                json.writeEndObject();
            }
            json.writeEndArray();
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    private void writeToken(JsonGenerator json, int id, float logprob) throws IOException {
        byte[] bytes = bytes(id);
        json.writeStringField("token", new String(bytes, StandardCharsets.UTF_8));
        json.writeNumberField("logprob", finite(logprob));
        json.writeArrayFieldStart("bytes");
        for (byte b : bytes) {
            json.writeNumber(b & 0xFF);
        }
        json.writeEndArray();
    }

    /// `{tokens, token_logprobs, top_logprobs, text_offset}`; a token without log-probabilities (the first of a prompt)
    /// has null.
    ///
    /// @param firstOffset characters of the answer's text before the report's offset 0
    void writeText(JsonGenerator json, TokenReport report, int top, int firstOffset) throws IOException {
        json.writeStartObject();
        json.writeArrayFieldStart("tokens");
        for (int i = 0; i < report.size(); i++) {
            json.writeString(token(report.id(i)));
        }
        json.writeEndArray();
        json.writeArrayFieldStart("token_logprobs");
        for (int i = 0; i < report.size(); i++) {
            if (report.logprobs(i) == null) {
                json.writeNull();
            } else {
                json.writeNumber(finite(report.logprobs(i).logprob()));
            }
        }
        json.writeEndArray();
        json.writeArrayFieldStart("top_logprobs");
        for (int i = 0; i < report.size(); i++) {
            writeMap(json, report.id(i), report.logprobs(i), top);
        }
        json.writeEndArray();
        json.writeArrayFieldStart("text_offset");
        for (int i = 0; i < report.size(); i++) {
            json.writeNumber(firstOffset + report.textOffset(i));
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    /// From token to log-probability, the chosen one first. Two tokens may have one spelling; the likelier one stays.
    private void writeMap(JsonGenerator json, int id, TokenLogprobs logprobs, int top) throws IOException {
        if (logprobs == null) {
            json.writeNull();
            return;
        }
        json.writeStartObject();
        Set<String> written = new HashSet<>();
        String chosen = token(id);
        written.add(chosen);
        json.writeNumberField(chosen, finite(logprobs.logprob()));
        for (int k = 0; k < Math.min(top, logprobs.topTokens().length); k++) {
            String name = token(logprobs.topTokens()[k]);
            if (written.add(name)) {
                json.writeNumberField(name, finite(logprobs.topLogprobs()[k]));
            }
        }
        json.writeEndObject();
    }

    /// One entry per prompt token: null for the first, then `{"<id>":{"logprob":…,"decoded_token":"…"}}` with the token
    /// that stands there first.
    void writePrompt(JsonGenerator json, int[] prompt, TokenLogprobs[] logprobs, int top) throws IOException {
        json.writeStartArray();
        for (int i = 0; i < logprobs.length; i++) {
            if (logprobs[i] == null) {
                json.writeNull();
                continue;
            }
            json.writeStartObject();
            writePromptToken(json, prompt[i], logprobs[i].logprob());
            for (int k = 0; k < Math.min(top, logprobs[i].topTokens().length); k++) {
                if (logprobs[i].topTokens()[k] != prompt[i]) {
                    writePromptToken(json, logprobs[i].topTokens()[k], logprobs[i].topLogprobs()[k]);
                }
            }
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    private void writePromptToken(JsonGenerator json, int id, float logprob) throws IOException {
        json.writeObjectFieldStart(String.valueOf(id));
        json.writeNumberField("logprob", finite(logprob));
        json.writeStringField("decoded_token", token(id));
        json.writeEndObject();
    }

    private String token(int id) {
        // without a tokenizer a token has no spelling but its number
        return text.isEmpty() ? "token_id:" + id : new String(bytes(id), StandardCharsets.UTF_8);
    }

    private byte[] bytes(int id) {
        return text.map(t -> t.bytes(id)).orElseGet(() -> ("token_id:" + id).getBytes(StandardCharsets.UTF_8));
    }

    static float finite(float logprob) {
        return logprob >= FLOOR ? logprob : FLOOR;
    }
}
