package dev.sidewinder.server.api.answer;

import dev.sidewinder.engine.TokenLogprobs;
import dev.sidewinder.model.chat.OutputDelta;
import java.util.function.Supplier;

/// Streams a text completion as `text_completion` events: the order of a chat without role chunks.
final class TextChunks implements AnswerSink {

    private static final TokenReport NOTHING = new TokenReport();

    private final AnswerPlan plan;
    private final EventWriter events;
    private final ChunkFrame frame;
    private final Logprobs logprobs;
    private final EventWriter.Body runningUsage;
    private final boolean[] saidPromptIds;

    /// @param usage counts so far, for chunks that carry it
    TextChunks(AnswerPlan plan, EventWriter events, Supplier<Usage> usage) {
        this.plan = plan;
        this.events = events;
        this.frame = new ChunkFrame(events, plan.identity(), "text_completion");
        this.logprobs = new Logprobs(plan.text());
        this.saidPromptIds = new boolean[plan.totalChoices()];
        this.runningUsage = plan.stream().continuousUsage()
                ? json -> usage.get().write(json) : null;
    }

    @Override
    public void begin() {
        boolean waitsForScores = plan.output().logprobs() >= 0;
        if (plan.output().echo() && !waitsForScores) {
            for (int i = 0; i < plan.totalChoices(); i++) {
                echo(i, NOTHING);
            }
        }
    }

    @Override
    public void promptScored(int prompt, TokenLogprobs[] scores) {
        TokenReport report = EchoReport.of(plan, plan.prompts().get(prompt), scores);
        for (int c = 0; c < plan.choices(); c++) {
            echo(prompt * plan.choices() + c, report);
        }
    }

    /// The ids of the prompt have a field of their own.
    private void echo(int index, TokenReport report) {
        chunk(index, prompt(index).text(), null, report, NOTHING, 0);
    }

    @Override
    public void delta(int index, OutputDelta delta, TokenReport report) {
        if (!(delta instanceof OutputDelta.Content(String text))) {
            throw new IllegalStateException("a text completion has text only, not " + delta);
        }
        chunk(index, text, null, report, report, EchoReport.chars(plan, prompt(index)));
    }

    @Override
    public void end(int index, String finishReason, String tail, TokenReport report) {
        chunk(index, "", finishReason, report, report, EchoReport.chars(plan, prompt(index)));
    }

    private AnswerPlan.PromptInfo prompt(int index) {
        return plan.prompts().get(index / plan.choices());
    }

    /// @param scored    tokens whose log-probabilities go out
    /// @param generated tokens whose ids go out
    private void chunk(int index, String text, String finishReason, TokenReport scored, TokenReport generated,
            int firstOffset) {
        frame.chunk(null, json -> {
            json.writeStartObject();
            json.writeNumberField("index", index);
            json.writeStringField("text", text);
            json.writeFieldName("logprobs");
            if (plan.output().logprobs() >= 0 && !scored.isEmpty()) {
                logprobs.writeText(json, scored, plan.output().logprobs(), firstOffset);
            } else {
                json.writeNull();
            }
            json.writeStringField("finish_reason", finishReason);
            if (plan.output().tokenIds()) {
                if (!saidPromptIds[index]) {
                    saidPromptIds[index] = true;
                    int[] prompt = prompt(index).tokens();
                    json.writeFieldName("prompt_token_ids");
                    json.writeArray(prompt, 0, prompt.length);
                }
                TokenIds.write(json, generated);
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
