package dev.sidewinder.server.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sidewinder.model.chat.OutputDelta;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// An answer on its way. One thread reads; any thread may `stop` it, which closes the connection, and so the server
/// stops generating.
final class ChatAnswer implements AutoCloseable {

    private final SseReader events;
    private final ObjectMapper json;
    private volatile boolean stopped;
    private String finishReason = "";

    ChatAnswer(InputStream body, ObjectMapper json) {
        this.events = new SseReader(body);
        this.json = json;
    }

    /// What came next, possibly nothing to show; empty at the end.
    ///
    /// @throws CommandException when the server reports a failure or breaks off
    Optional<List<OutputDelta>> next() throws IOException {
        try {
            Optional<SseReader.Event> event = events.next();
            if (event.isEmpty()) {
                if (stopped) {
                    return Optional.empty();
                }
                throw new CommandException("the server broke off in the middle of its answer");
            }
            if (event.get().data().equals("[DONE]")) {
                return Optional.empty();
            }
            return Optional.of(read(json.readTree(event.get().data())));
        } catch (IOException closed) {
            if (stopped) {
                return Optional.empty();
            }
            throw closed;
        }
    }

    private List<OutputDelta> read(JsonNode chunk) {
        if (chunk.has("error")) {
            throw new CommandException("the server gave up: " + chunk.path("error").path("message").asText());
        }
        JsonNode choice = chunk.path("choices").path(0);
        if (choice.path("finish_reason").isTextual()) {
            finishReason = choice.path("finish_reason").asText();
        }
        JsonNode delta = choice.path("delta");
        List<OutputDelta> deltas = new ArrayList<>(1);
        String reasoning = delta.path("reasoning").asText(delta.path("reasoning_content").asText(""));
        if (!reasoning.isEmpty()) {
            deltas.add(new OutputDelta.Reasoning(reasoning));
        }
        String content = delta.path("content").asText("");
        if (!content.isEmpty()) {
            deltas.add(new OutputDelta.Content(content));
        }
        for (JsonNode call : delta.path("tool_calls")) {
            int index = call.path("index").asInt();
            JsonNode function = call.path("function");
            if (function.path("name").isTextual()) {
                deltas.add(new OutputDelta.ToolCallStarted(index, function.path("name").asText()));
            }
            if (!function.path("arguments").asText("").isEmpty()) {
                deltas.add(new OutputDelta.ToolCallArguments(index, function.path("arguments").asText()));
            }
        }
        return deltas;
    }

    /// Why the answer ended, as the server says it; empty before the end.
    String finishReason() {
        return finishReason;
    }

    boolean stopped() {
        return stopped;
    }

    /// Ends the answer: the reader finds the end.
    void stop() {
        stopped = true;
        try {
            events.close();
        } catch (IOException alreadyGone) {
            // nothing is left to close
        }
    }

    @Override
    public void close() throws IOException {
        events.close();
    }
}
