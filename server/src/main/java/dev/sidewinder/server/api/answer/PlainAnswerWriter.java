package dev.sidewinder.server.api.answer;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.sidewinder.engine.TokenLogprobs;
import dev.sidewinder.server.api.JsonOutput;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;

/// Writes the body of an answer that is not streamed.
final class PlainAnswerWriter {

    private final AnswerPlan plan;
    private final List<CollectedChoice> choices;
    private final TokenLogprobs[][] promptScores;
    private final Usage usage;
    private final Logprobs logprobs;

    /// @param promptScores per prompt; null where none were asked for
    PlainAnswerWriter(AnswerPlan plan, List<CollectedChoice> choices, TokenLogprobs[][] promptScores, Usage usage) {
        this.plan = plan;
        this.choices = choices;
        this.promptScores = promptScores;
        this.usage = usage;
        this.logprobs = new Logprobs(plan.text());
    }

    byte[] write() {
        var out = new WireBuffer();
        try (JsonGenerator json = JsonOutput.generator(out)) {
            json.writeStartObject();
            switch (plan.form()) {
                case CHAT -> writeChat(json);
                case TEXT -> writeText(json);
                case GENERATE -> writeGenerate(json);
            }
            json.writeEndObject();
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return out.toByteArray();
    }

    private void writeChat(JsonGenerator json) throws IOException {
        ChunkFrame.writeIdentity(json, plan.identity(), "chat.completion");
        json.writeArrayFieldStart("choices");
        for (int i = 0; i < choices.size(); i++) {
            writeChatChoice(json, i, choices.get(i));
        }
        json.writeEndArray();
        writeUsage(json);
        json.writeStringField("service_tier", "default");
        AnswerPlan.PromptInfo prompt = plan.prompts().getFirst();
        if (plan.output().promptLogprobs() >= 0) {
            writePromptLogprobs(json, 0);
        }
        if (plan.output().tokenIds()) {
            writeIds(json, "prompt_token_ids", prompt.tokens());
        }
        if (plan.output().promptText()) {
            json.writeStringField("prompt_text", prompt.text());
        }
    }

    private void writeChatChoice(JsonGenerator json, int index, CollectedChoice choice) throws IOException {
        json.writeStartObject();
        json.writeNumberField("index", index);
        json.writeObjectFieldStart("message");
        json.writeStringField("role", "assistant");
        boolean onlyCalls = choice.content().isEmpty() && !choice.calls().isEmpty();
        json.writeStringField("content", onlyCalls ? null : choice.content());
        json.writeNullField("refusal");
        if (!choice.reasoning().isEmpty()) {
            ReasoningNames.write(json, plan.chat().orElseThrow().reasoning(), choice.reasoning());
        }
        if (!choice.calls().isEmpty()) {
            writeCalls(json, choice.calls());
        }
        json.writeArrayFieldStart("annotations");
        json.writeEndArray();
        json.writeEndObject();
        json.writeFieldName("logprobs");
        if (plan.output().logprobs() >= 0) {
            logprobs.writeChat(json, choice.report(), plan.output().logprobs());
        } else {
            json.writeNull();
        }
        json.writeStringField("finish_reason", choice.finishReason());
        if (plan.output().tokenIds()) {
            TokenIds.write(json, choice.report());
        }
        json.writeEndObject();
    }

    private static void writeCalls(JsonGenerator json, List<CollectedChoice.Call> calls) throws IOException {
        json.writeArrayFieldStart("tool_calls");
        for (CollectedChoice.Call call : calls) {
            json.writeStartObject();
            json.writeStringField("id", call.id());
            json.writeStringField("type", "function");
            json.writeObjectFieldStart("function");
            json.writeStringField("name", call.name());
            json.writeStringField("arguments", call.arguments().toString());
            json.writeEndObject();
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    private void writeText(JsonGenerator json) throws IOException {
        ChunkFrame.writeIdentity(json, plan.identity(), "text_completion");
        json.writeArrayFieldStart("choices");
        for (int i = 0; i < choices.size(); i++) {
            writeTextChoice(json, i, choices.get(i));
        }
        json.writeEndArray();
        writeUsage(json);
        json.writeStringField("service_tier", "default");
    }

    private void writeTextChoice(JsonGenerator json, int index, CollectedChoice choice) throws IOException {
        int promptIndex = index / plan.choices();
        AnswerPlan.PromptInfo prompt = plan.prompts().get(promptIndex);
        json.writeStartObject();
        json.writeNumberField("index", index);
        json.writeStringField("text", plan.output().echo() ? prompt.text() + choice.content() : choice.content());
        json.writeFieldName("logprobs");
        if (plan.output().logprobs() >= 0) {
            logprobs.writeText(json, withEcho(promptIndex, prompt, choice.report()), plan.output().logprobs(), 0);
        } else {
            json.writeNull();
        }
        json.writeStringField("finish_reason", choice.finishReason());
        if (plan.output().promptLogprobs() >= 0) {
            writePromptLogprobs(json, promptIndex);
        }
        if (plan.output().tokenIds()) {
            writeIds(json, "prompt_token_ids", prompt.tokens());
            TokenIds.write(json, choice.report());
        }
        json.writeEndObject();
    }

    /// An echoed prompt is scored like the text that follows it.
    private TokenReport withEcho(int promptIndex, AnswerPlan.PromptInfo prompt, TokenReport generated) {
        if (!plan.output().echo()) {
            return generated;
        }
        TokenReport whole = EchoReport.of(plan, prompt, promptScores[promptIndex]);
        int firstOffset = EchoReport.chars(plan, prompt);
        for (int i = 0; i < generated.size(); i++) {
            whole.add(generated.id(i), generated.logprobs(i), firstOffset + generated.textOffset(i));
        }
        return whole;
    }

    private void writeGenerate(JsonGenerator json) throws IOException {
        CollectedChoice choice = choices.getFirst();
        String prompt = plan.prompts().getFirst().text();
        json.writeArrayFieldStart("text");
        json.writeString(prompt + choice.content());
        json.writeEndArray();
        TokenIds.write(json, choice.report());
        json.writeStringField("finish_reason", choice.finishReason());
        writeUsage(json);
    }

    private void writePromptLogprobs(JsonGenerator json, int promptIndex) throws IOException {
        json.writeFieldName("prompt_logprobs");
        logprobs.writePrompt(json, plan.prompts().get(promptIndex).tokens(), promptScores[promptIndex],
                plan.output().promptLogprobs());
    }

    private void writeUsage(JsonGenerator json) throws IOException {
        json.writeFieldName("usage");
        usage.write(json);
    }

    private static void writeIds(JsonGenerator json, String name, int[] ids) throws IOException {
        json.writeFieldName(name);
        json.writeArray(ids, 0, ids.length);
    }
}
