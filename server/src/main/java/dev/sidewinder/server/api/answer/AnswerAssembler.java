package dev.sidewinder.server.api.answer;

import dev.sidewinder.engine.EngineException;
import dev.sidewinder.engine.FinishReason;
import dev.sidewinder.engine.GenerationEvent;
import java.util.Optional;

/// Turns the engine's events of one request into an answer. A state machine without threads and clocks: the caller hands
/// in events, prompt by prompt in whatever order they come, and the answer appears in the sink. For one thread.
public final class AnswerAssembler {

    /// Ends one choice in the engine: its answer is complete, whatever would follow.
    @FunctionalInterface
    public interface Canceller {
        void cancel(int prompt, int choice);
    }

    private final AnswerPlan plan;
    private final AnswerSink sink;
    private final Canceller canceller;
    private final Choice[] choices;
    private final CacheUse cache;
    private int open;
    private boolean begun;
    private boolean cancelled;
    private EngineException failure;

    AnswerAssembler(AnswerPlan plan, AnswerSink sink, Canceller canceller) {
        this.plan = plan;
        this.sink = sink;
        this.canceller = canceller;
        choices = new Choice[plan.totalChoices()];
        for (int i = 0; i < choices.length; i++) {
            int maxTokens = plan.prompts().get(i / plan.choices()).maxTokens();
            choices[i] = new Choice(i, plan, maxTokens, sink);
        }
        open = choices.length;
        cache = new CacheUse(plan);
    }

    /// Starts the answer before there is a token: role chunks go out. Happens by itself with the first token.
    public void begin() {
        if (!begun) {
            begun = true;
            sink.begin();
        }
    }

    /// Takes an event of one prompt's generation. After [#ended] nothing has an effect.
    public void accept(int prompt, GenerationEvent event) {
        if (ended()) {
            return;
        }
        switch (event) {
            case GenerationEvent.Admitted admitted -> cache.take(prompt, admitted);
            case GenerationEvent.PromptScored scored -> {
                begin();
                sink.promptScored(prompt, scored.logprobs());
            }
            case GenerationEvent.Token token -> {
                begin();
                Choice choice = choice(prompt, token.choice());
                boolean wasOpen = !choice.ended();
                if (choice.accept(token)) {
                    canceller.cancel(prompt, token.choice());
                }
                close(choice, wasOpen);
            }
            case GenerationEvent.Finished finished -> {
                Choice choice = choice(prompt, finished.choice());
                boolean wasOpen = !choice.ended();
                if (wasOpen && finished.reason() == FinishReason.CANCELLED) {
                    // whoever cancelled the request ends the stream too: it must not look complete
                    cancelled = true;
                    return;
                }
                begin();
                choice.finished(finished.reason());
                close(choice, wasOpen);
            }
            case GenerationEvent.Failed failed -> failure = failed.cause();
        }
    }

    private Choice choice(int prompt, int choice) {
        return choices[prompt * plan.choices() + choice];
    }

    private void close(Choice choice, boolean wasOpen) {
        if (wasOpen && choice.ended()) {
            open--;
            if (open == 0) {
                sink.complete(usage());
            }
        }
    }

    /// Whether nothing more will come: the answer is complete, cancelled, or has failed.
    public boolean ended() {
        return open == 0 || cancelled || failure != null;
    }

    /// Whether every choice came to its end.
    public boolean complete() {
        return open == 0;
    }

    /// Why there will be no complete answer. The caller answers with it, or ends its stream with
    /// [AnswerStream#writeError].
    public Optional<EngineException> failure() {
        return Optional.ofNullable(failure);
    }

    /// What a conversation goes on with if a user speaks next: the answer without its reasoning. Empty where that is not known: several choices, a
    /// call of a tool, an answer that was cut short, or none of a conversation.
    public Optional<String> content() {
        return choices.length == 1 ? choices[0].content() : Optional.empty();
    }

    /// Tokens so far.
    public Usage usage() {
        long prompts = 0;
        for (AnswerPlan.PromptInfo prompt : plan.prompts()) {
            prompts += prompt.tokens().length;
        }
        long completion = 0;
        long reasoning = 0;
        for (Choice choice : choices) {
            completion += choice.tokens();
            reasoning += choice.reasoningTokens();
        }
        return new Usage(prompts, completion, reasoning, cache.cachedTokens(), cache.report());
    }
}
