package dev.sidewinder.it.support;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/// Reads server-sent events off an answer.
public final class EventReader implements AutoCloseable {

    /// @param name "" for a plain event
    /// @param data its data; comments are events named ":"
    public record Event(String name, String data) {
        public JsonNode json() {
            return Api.parse(data);
        }

        public boolean isDone() {
            return name.isEmpty() && data.equals("[DONE]");
        }
    }

    private final HttpResponse<InputStream> response;
    private final BufferedReader lines;

    EventReader(HttpResponse<InputStream> response) {
        this.response = response;
        this.lines = new BufferedReader(new InputStreamReader(response.body(), StandardCharsets.UTF_8));
    }

    public int status() {
        return response.statusCode();
    }

    public String header(String name) {
        return response.headers().firstValue(name).orElse(null);
    }

    /// The next event, null at the end of the body.
    public Event next() throws IOException {
        String name = "";
        String data = null;
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            if (line.isEmpty()) {
                if (data != null) {
                    return new Event(name, data);
                }
            } else if (line.startsWith(":")) {
                name = ":";
                data = line.substring(1).strip();
            } else if (line.startsWith("event: ")) {
                name = line.substring("event: ".length());
            } else if (line.startsWith("data: ")) {
                data = line.substring("data: ".length());
            } else {
                throw new AssertionError("not a line of an event stream as we write it: " + line);
            }
        }
        return null;
    }

    /// Everything to the end of the body.
    public List<Event> all() throws IOException {
        List<Event> events = new ArrayList<>();
        for (Event event = next(); event != null; event = next()) {
            events.add(event);
        }
        return events;
    }

    /// The rest of the body as it is.
    public String text() throws IOException {
        return new String(response.body().readAllBytes(), StandardCharsets.UTF_8);
    }

    @Override
    public void close() throws IOException {
        response.body().close();
    }
}
