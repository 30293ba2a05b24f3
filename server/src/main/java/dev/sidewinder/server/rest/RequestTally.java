package dev.sidewinder.server.rest;

import dev.sidewinder.engine.FinishReason;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.server.api.answer.AnswerPlan;
import dev.sidewinder.server.api.answer.Usage;
import dev.sidewinder.server.metrics.EngineMetrics;

/// Counts what one request does, for the metrics. One thread.
final class RequestTally {

    private final EngineMetrics metrics;
    private final AnswerPlan plan;
    private final long arrivedNanos;
    private final long[] lastTokenNanos;
    private final int[] fresh;
    private final int[] tokens;
    private boolean length;
    private boolean firstSeen;
    private Usage counted = Usage.NONE;

    RequestTally(EngineMetrics metrics, AnswerPlan plan, long arrivedNanos) {
        this.metrics = metrics;
        this.plan = plan;
        this.arrivedNanos = arrivedNanos;
        this.lastTokenNanos = new long[plan.totalChoices()];
        this.fresh = new int[plan.totalChoices()];
        this.tokens = new int[plan.totalChoices()];
    }

    void take(Generations.Event taken) {
        switch (taken.event()) {
            case GenerationEvent.Token token -> {
                int choice = taken.prompt() * plan.choices() + token.choice();
                fresh[choice]++;
                tokens[choice]++;
            }
            case GenerationEvent.Finished finished -> length |= finished.reason() == FinishReason.LENGTH;
            case GenerationEvent.Failed failed -> { }
            case GenerationEvent.PromptScored scored -> { }
            case GenerationEvent.Admitted admitted -> { }
        }
    }

    /// A group of events has been taken.
    ///
    /// @param firstTokenNanos when the engine had the first token of the request; 0 = not yet
    /// @param usage           of the answer so far
    void group(long firstTokenNanos, Usage usage) {
        long now = System.nanoTime();
        if (!firstSeen && firstTokenNanos != 0) {
            firstSeen = true;
            metrics.firstToken(arrivedNanos, firstTokenNanos);
        }
        for (int choice = 0; choice < fresh.length; choice++) {
            if (fresh[choice] > 0) {
                gaps(choice, now);
            }
        }
        count(usage);
    }

    /// Tokens that were taken together share the time since the one before them.
    private void gaps(int choice, long now) {
        if (lastTokenNanos[choice] != 0) {
            long gap = (now - lastTokenNanos[choice]) / fresh[choice];
            for (int i = 0; i < fresh[choice]; i++) {
                metrics.nextToken(gap);
            }
        }
        lastTokenNanos[choice] = now;
        fresh[choice] = 0;
    }

    /// The prompt counts with the first token: before that nothing has been computed of it for certain.
    private void count(Usage usage) {
        if (!firstSeen) {
            return;
        }
        metrics.tokens(usage.promptTokens() - counted.promptTokens(), usage.cachedTokens() - counted.cachedTokens(),
                usage.completionTokens() - counted.completionTokens(), usage.reasoningTokens() - counted.reasoningTokens());
        counted = usage;
    }

    /// The answer is complete.
    void finished(Generations generations, Usage usage) {
        firstSeen = true;
        count(usage);
        int longest = 0;
        for (int count : tokens) {
            longest = Math.max(longest, count);
        }
        metrics.finished(new EngineMetrics.Finished(arrivedNanos, System.nanoTime(), generations.times(),
                usage.promptTokens(), usage.cachedTokens(), usage.completionTokens(), longest, plan.prompts().getFirst().maxTokens(),
                plan.choices()), length ? FinishReason.LENGTH : FinishReason.STOP);
    }

    void aborted() {
        metrics.aborted();
    }

    void failed(boolean numeric) {
        metrics.failed(numeric);
    }
}
