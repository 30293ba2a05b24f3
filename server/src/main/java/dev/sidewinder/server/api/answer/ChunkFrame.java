package dev.sidewinder.server.api.answer;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.SerializableString;
import com.fasterxml.jackson.core.io.SerializedString;
import dev.sidewinder.server.api.JsonOutput;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/// What all chunks of one stream have in common, encoded once.
final class ChunkFrame {

    private static final SerializableString CLOSE = new SerializedString("}");
    private static final SerializableString CHOICES = new SerializedString(",\"choices\":[");
    private static final SerializableString NO_CHOICES = new SerializedString(",\"choices\":[]");
    private static final SerializableString USAGE = new SerializedString(",\"usage\":");

    private final EventWriter events;
    private final SerializableString opening;

    /// @param object the value of `object`, for example `chat.completion.chunk`
    ChunkFrame(EventWriter events, AnswerPlan.Identity identity, String object) {
        this.events = events;
        this.opening = opening(identity, object);
    }

    private static SerializableString opening(AnswerPlan.Identity identity, String object) {
        var buffer = new WireBuffer();
        try (JsonGenerator json = JsonOutput.generator(buffer)) {
            json.writeStartObject();
            writeIdentity(json, identity, object);
            json.writeEndObject();
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        // the object stays open: fields follow
        return new SerializedString(new String(buffer.array(), 0, buffer.length() - 1, StandardCharsets.UTF_8));
    }

    static void writeIdentity(JsonGenerator json, AnswerPlan.Identity identity, String object) throws IOException {
        json.writeStringField("id", identity.answerId());
        json.writeStringField("object", object);
        json.writeNumberField("created", identity.created());
        json.writeStringField("model", identity.model());
        json.writeStringField("system_fingerprint", identity.fingerprint());
    }

    /// Writes a chunk with one choice.
    ///
    /// @param extra  fields beside `choices`; null = none
    /// @param choice the choice, a whole JSON object
    void chunk(SerializableString extra, EventWriter.Body choice, EventWriter.Body usage) {
        events.event(opening, json -> {
            if (extra != null) {
                json.writeRaw(extra);
            }
            json.writeRaw(CHOICES);
            choice.write(json);
            json.writeRaw(']');
            if (usage != null) {
                json.writeRaw(USAGE);
                usage.write(json);
            }
        }, CLOSE);
    }

    /// Writes the chunk without choices that carries the usage.
    void usageChunk(EventWriter.Body usage) {
        events.event(opening, json -> {
            json.writeRaw(NO_CHOICES);
            json.writeRaw(USAGE);
            usage.write(json);
        }, CLOSE);
    }

    /// Encodes `,"name":value` for the place before `choices`.
    static SerializableString extra(String name, EventWriter.Body value) {
        var buffer = new WireBuffer();
        try (JsonGenerator json = JsonOutput.generator(buffer)) {
            json.writeRaw(",\"" + name + "\":");
            value.write(json);
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return new SerializedString(new String(buffer.array(), 0, buffer.length(), StandardCharsets.UTF_8));
    }
}
