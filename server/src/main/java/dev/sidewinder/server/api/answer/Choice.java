package dev.sidewinder.server.api.answer;

import dev.sidewinder.engine.FinishReason;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.model.chat.ChatOutputParser;
import dev.sidewinder.model.chat.OutputDelta;
import dev.sidewinder.model.tokenizer.TokenDecoder;
import java.util.List;
import java.util.Optional;

/// One continuation on its way from tokens to deltas: decoder, then parser, then the sink. The choice knows its end as
/// soon as the token that makes it is there.
final class Choice {

    private final int index;
    private final AnswerPlan plan;
    private final int maxTokens;
    private final AnswerSink sink;
    private final TokenDecoder decoder;
    private final ChatOutputParser parser;
    private final ReasoningPolicy reasoning;
    private final boolean everyToken;
    private final PendingDeltas pending = new PendingDeltas();
    private final TokenReport report = new TokenReport();
    /// What a client will send back as the answer; null where nobody asks.
    private final StringBuilder content;
    private String finishReason;
    private int tokens;
    private int unsentTokens;
    private int textChars;
    private boolean ended;

    /// @param index     over all prompts
    /// @param maxTokens tokens this choice may have
    Choice(int index, AnswerPlan plan, int maxTokens, AnswerSink sink) {
        this.index = index;
        this.plan = plan;
        this.maxTokens = maxTokens;
        this.sink = sink;
        this.decoder = plan.text().map(text -> text.decoder(plan.output().skipSpecialTokens())).orElse(null);
        this.parser = plan.chat().map(chat -> chat.parsers().get()).orElseGet(
                () -> new PlainTextParser(plan.stops().strings(), plan.stops().includeInOutput(), plan.minTokens()));
        this.reasoning = new ReasoningPolicy(plan.chat(), pending);
        this.everyToken = plan.form() == AnswerPlan.Form.GENERATE;
        this.content = plan.form() == AnswerPlan.Form.CHAT && plan.totalChoices() == 1 ? new StringBuilder() : null;
    }

    /// Takes a token.
    ///
    /// @return whether the choice ended before the engine would have ended it, so that it must be cancelled
    boolean accept(GenerationEvent.Token event) {
        if (ended) {
            return false;
        }
        tokens++;
        unsentTokens++;
        report.add(event.token(), event.logprobs(), textChars);
        if (event.stop()) {
            finish(ChatOutputParser.End.STOP);
            return false;
        }
        String text = decoder == null ? "" : decoder.accept(event.token());
        textChars += text.codePointCount(0, text.length());
        take(parser.accept(event.token(), text));
        boolean isLast = event.index() + 1 >= maxTokens;
        if (parser.stopped()) {
            end(natural());
            return !isLast;
        }
        if (isLast) {
            finish(ChatOutputParser.End.LENGTH);
        } else if (tokens == 1 || unsentTokens >= plan.stream().intervalTokens()) {
            send();
        }
        return false;
    }

    /// Takes the engine's word that the choice is over; no news unless it ended without a last token.
    void finished(FinishReason reason) {
        if (ended) {
            return;
        }
        switch (reason) {
            case STOP -> finish(ChatOutputParser.End.STOP);
            case LENGTH -> finish(ChatOutputParser.End.LENGTH);
            case CANCELLED -> throw new IllegalStateException("choice " + index + " was cancelled and is still open");
        }
    }

    boolean ended() {
        return ended;
    }

    int tokens() {
        return tokens;
    }

    /// The whole answer of a conversation's only choice, where it came to its own end and calls no tool.
    Optional<String> content() {
        return content != null && "stop".equals(finishReason) && parser.toolCalls() == 0 ? Optional.of(content.toString()) : Optional.empty();
    }

    int reasoningTokens() {
        return parser.reasoningTokens();
    }

    /// What decoder and parser still hold comes out; a stop string may still become complete.
    private void finish(ChatOutputParser.End end) {
        take(parser.finish(decoder == null ? "" : decoder.finish(), end));
        end(end == ChatOutputParser.End.STOP || parser.stopped() ? natural() : "length");
    }

    private String natural() {
        boolean named = plan.chat().isPresent() && plan.chat().get().namedCall();
        return parser.toolCalls() > 0 && !named ? "tool_calls" : "stop";
    }

    private void take(List<OutputDelta> deltas) {
        for (int i = 0; i < deltas.size(); i++) {
            reasoning.take(deltas.get(i));
        }
    }

    private void end(String finishReason) {
        reasoning.end();
        this.finishReason = finishReason;
        ended = true;
        String tail = "";
        if (everyToken) {
            tail = pending.takeText();
        } else {
            send();
        }
        sink.end(index, finishReason, tail, report);
        report.clear();
    }

    /// Hands on what is pending. Without a delta the report waits for one, unless there will never be any text.
    private void send() {
        unsentTokens = 0;
        if (everyToken) {
            sink.delta(index, new OutputDelta.Content(pending.takeText()), report);
            report.clear();
            return;
        }
        if (decoder == null && pending.isEmpty() && !ended) {
            pending.add(new OutputDelta.Content(""));
        }
        pending.drain(delta -> {
            if (content != null && delta instanceof OutputDelta.Content(String text)) {
                content.append(text);
            }
            sink.delta(index, delta, report);
            report.clear();
        });
    }
}
