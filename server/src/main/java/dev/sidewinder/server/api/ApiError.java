package dev.sidewinder.server.api;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;

/// A refusal or failure as a client sees it: the envelope of docs/api.md, and the headers that go with it.
///
/// @param status  HTTP status
/// @param type    family of the error, for example `invalid_request_error`
/// @param code    the exact error, for example `integer_below_min_value`; may be null
/// @param message written by us; never the text of an exception, a path or an address of this machine
/// @param param   path of the field at fault, for example `messages[3].content[0].text`; null when there is none
/// @param details further mistakes in the same request, 8 at most
/// @param retry   whether and when to try again
public record ApiError(int status, String type, String code, String message, String param, List<Detail> details,
        Retry retry) {

    private static final int UNAUTHORIZED = 401;

    /// How many mistakes beside the first are listed.
    public static final int MAX_DETAILS = 8;

    public ApiError {
        details = List.copyOf(details);
        if (details.size() > MAX_DETAILS) {
            throw new IllegalArgumentException("at most " + MAX_DETAILS + " details, got " + details.size());
        }
    }

    /// A further mistake.
    public record Detail(String param, String code) {}

    /// The body of the answer: `{"error":{…}}` in UTF-8.
    public byte[] toJson(String requestId) {
        var bytes = new ByteArrayOutputStream(256);
        try (JsonGenerator json = StrictJson.FACTORY.createGenerator(bytes)) {
            write(json, requestId);
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return bytes.toByteArray();
    }

    /// Writes the envelope as one JSON value.
    public void write(JsonGenerator json, String requestId) throws IOException {
        json.writeStartObject();
        json.writeObjectFieldStart("error");
        json.writeStringField("message", message);
        json.writeStringField("type", type);
        json.writeStringField("param", param);
        json.writeStringField("code", code);
        json.writeStringField("request_id", requestId);
        if (!details.isEmpty()) {
            json.writeArrayFieldStart("details");
            for (Detail detail : details) {
                json.writeStartObject();
                json.writeStringField("param", detail.param());
                json.writeStringField("code", detail.code());
                json.writeEndObject();
            }
            json.writeEndArray();
        }
        json.writeEndObject();
        json.writeEndObject();
    }

    /// The headers that tell an SDK whether and when to try again, and how to say who it is, by name.
    ///
    /// @param jitter spreads the clients that were refused together
    public Map<String, String> headers(RandomGenerator jitter) {
        Map<String, String> headers = new LinkedHashMap<>();
        headers.put("x-should-retry", String.valueOf(retry.shouldRetry()));
        if (status == UNAUTHORIZED) {
            // RFC 9110, section 15.5.2
            headers.put("WWW-Authenticate", "Bearer");
        }
        retry.afterMillis(jitter).ifPresent(millis -> {
            headers.put("Retry-After", String.valueOf(Math.max(1, Math.ceilDiv(millis, 1_000))));
            headers.put("retry-after-ms", String.valueOf(millis));
        });
        return headers;
    }
}
