package dev.sidewinder.server.api.answer;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.SerializableString;
import com.fasterxml.jackson.core.io.SerializedString;
import dev.sidewinder.engine.TokenLogprobs;
import dev.sidewinder.model.chat.OutputDelta;
import java.io.IOException;
import java.util.function.Supplier;

/// Streams a chat answer as `chat.completion.chunk` events, by the wire rules of docs/api.md.
final class ChatChunks implements AnswerSink {

    private static final TokenReport NOTHING = new TokenReport();

    private final AnswerPlan plan;
    private final EventWriter events;
    private final ChunkFrame frame;
    private final Logprobs logprobs;
    private final CallIds ids;
    private final EventWriter.Body runningUsage;
    /// per choice: whether the call that is being written has arguments yet
    private final boolean[] hasArguments;

    /// @param usage counts so far, for chunks that carry it
    ChatChunks(AnswerPlan plan, EventWriter events, CallIds ids, Supplier<Usage> usage) {
        this.plan = plan;
        this.events = events;
        this.ids = ids;
        this.frame = new ChunkFrame(events, plan.identity(), "chat.completion.chunk");
        this.logprobs = new Logprobs(plan.text());
        this.hasArguments = new boolean[plan.totalChoices()];
        this.runningUsage = plan.stream().continuousUsage()
                ? json -> usage.get().write(json) : null;
    }

    @Override
    public void begin() {
        for (int i = 0; i < plan.totalChoices(); i++) {
            chunk(i, i == 0 ? promptFields() : null, json -> {
                json.writeStringField("role", "assistant");
                json.writeStringField("content", "");
            }, null, NOTHING);
        }
    }

    /// What is said once about the prompt: in the first chunk.
    private SerializableString promptFields() {
        AnswerPlan.PromptInfo prompt = plan.prompts().getFirst();
        var fields = new StringBuilder();
        if (plan.output().tokenIds()) {
            fields.append(ChunkFrame.extra("prompt_token_ids",
                    json -> json.writeArray(prompt.tokens(), 0, prompt.tokens().length)));
        }
        if (plan.output().promptText()) {
            fields.append(ChunkFrame.extra("prompt_text", json -> json.writeString(prompt.text())));
        }
        return fields.isEmpty() ? null : new SerializedString(fields.toString());
    }

    @Override
    public void promptScored(int prompt, TokenLogprobs[] scores) {
        throw new IllegalStateException("prompt_logprobs and stream exclude each other");
    }

    @Override
    public void delta(int index, OutputDelta delta, TokenReport report) {
        switch (delta) {
            case OutputDelta.Content(String text) ->
                chunk(index, null, json -> json.writeStringField("content", text), null, report);
            case OutputDelta.Reasoning(String text) -> chunk(index, null,
                    json -> ReasoningNames.write(json, plan.chat().orElseThrow().reasoning(), text), null, report);
            case OutputDelta.ToolCallStarted(int call, String name) -> {
                hasArguments[index] = false;
                String id = ids.next();
                chunk(index, null, json -> writeCallStart(json, call, id, name), null, report);
            }
            case OutputDelta.ToolCallArguments(int call, String text) -> arguments(index, call, text, report);
            case OutputDelta.ToolCallEnded(int call) -> {
                if (!hasArguments[index]) {
                    arguments(index, call, "{}", report);
                }
            }
        }
    }

    private void arguments(int index, int call, String text, TokenReport report) {
        hasArguments[index] |= !text.isEmpty();
        chunk(index, null, json -> {
            json.writeArrayFieldStart("tool_calls");
            json.writeStartObject();
            json.writeNumberField("index", call);
            json.writeObjectFieldStart("function");
            json.writeStringField("arguments", text);
            json.writeEndObject();
            json.writeEndObject();
            json.writeEndArray();
        }, null, report);
    }

    private static void writeCallStart(JsonGenerator json, int call, String id, String name) throws IOException {
        json.writeArrayFieldStart("tool_calls");
        json.writeStartObject();
        json.writeNumberField("index", call);
        json.writeStringField("id", id);
        json.writeStringField("type", "function");
        json.writeObjectFieldStart("function");
        json.writeStringField("name", name);
        json.writeStringField("arguments", "");
        json.writeEndObject();
        json.writeEndObject();
        json.writeEndArray();
    }

    @Override
    public void end(int index, String finishReason, String tail, TokenReport report) {
        chunk(index, null, _ -> { }, finishReason, report);
    }

    private void chunk(int index, SerializableString extra, EventWriter.Body delta, String finishReason,
            TokenReport report) {
        frame.chunk(extra, json -> {
            json.writeStartObject();
            json.writeNumberField("index", index);
            json.writeObjectFieldStart("delta");
            delta.write(json);
            json.writeEndObject();
            json.writeFieldName("logprobs");
            if (plan.output().logprobs() >= 0 && !report.isEmpty()) {
                logprobs.writeChat(json, report, plan.output().logprobs());
            } else {
                json.writeNull();
            }
            json.writeStringField("finish_reason", finishReason);
            if (plan.output().tokenIds()) {
                TokenIds.write(json, report);
            }
            json.writeEndObject();
        }, runningUsage);
    }

    @Override
    public void complete(Usage usage) {
        if (plan.stream().includeUsage()) {
            frame.usageChunk(json -> usage.write(json));
        }
        events.done();
    }
}
