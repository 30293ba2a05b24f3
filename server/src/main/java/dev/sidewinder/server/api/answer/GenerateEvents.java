package dev.sidewinder.server.api.answer;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.sidewinder.engine.TokenLogprobs;
import dev.sidewinder.model.chat.OutputDelta;
import java.io.IOException;

/// Streams `/generate`: one event per token,
/// `{"index":0,"id":17,"text":" a","logprob":-0.5,"finish_reason":null}`, the last one with its finish_reason. Joined
/// texts are the answer; a token whose character is not complete yet has the empty text.
final class GenerateEvents implements AnswerSink {

    private final EventWriter events;
    private int written;

    GenerateEvents(EventWriter events) {
        this.events = events;
    }

    @Override
    public void begin() {
        // there is nothing to say before the first token
    }

    @Override
    public void promptScored(int prompt, TokenLogprobs[] scores) {
        throw new IllegalStateException("/generate scores no prompts");
    }

    @Override
    public void delta(int index, OutputDelta delta, TokenReport report) {
        if (!(delta instanceof OutputDelta.Content(String text))) {
            throw new IllegalStateException("/generate has text only, not " + delta);
        }
        event(text, null, report);
    }

    @Override
    public void end(int index, String finishReason, String tail, TokenReport report) {
        event(tail, finishReason, report);
    }

    private void event(String text, String finishReason, TokenReport report) {
        events.event(null, json -> {
            json.writeStartObject();
            json.writeNumberField("index", written);
            writeToken(json, text, report);
            json.writeStringField("finish_reason", finishReason);
            json.writeEndObject();
        }, null);
        written++;
    }

    /// The end may come without a token, when the engine cut the answer short.
    private static void writeToken(JsonGenerator json, String text, TokenReport report) throws IOException {
        if (report.isEmpty()) {
            json.writeNullField("id");
        } else {
            json.writeNumberField("id", report.id(0));
        }
        json.writeStringField("text", text);
        if (report.isEmpty() || report.logprobs(0) == null) {
            json.writeNullField("logprob");
        } else {
            json.writeNumberField("logprob", Logprobs.finite(report.logprobs(0).logprob()));
        }
    }

    @Override
    public void complete(Usage usage) {
        events.done();
    }
}
