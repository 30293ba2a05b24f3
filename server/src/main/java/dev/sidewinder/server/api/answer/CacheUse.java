package dev.sidewinder.server.api.answer;

import dev.sidewinder.engine.GenerationEvent.Admitted;
import dev.sidewinder.kvcache.CacheExplanation;
import java.util.Optional;

/// Gathers what the prefix cache had for each prompt of a request. A prompt counts once: what its first choice found is what others
/// had computed before, while the choices behind it may find what the first one computed. For one thread.
final class CacheUse {

    private final AnswerPlan plan;
    private final Admitted[] first;

    CacheUse(AnswerPlan plan) {
        this.plan = plan;
        this.first = new Admitted[plan.prompts().size()];
    }

    void take(int prompt, Admitted admitted) {
        if (first[prompt] == null) {
            first[prompt] = admitted;
        }
    }

    /// Prompt tokens that were not computed again, over all prompts that have begun.
    long cachedTokens() {
        long tokens = 0;
        for (Admitted admitted : first) {
            tokens += admitted == null ? 0 : admitted.reusedTokens();
        }
        return tokens;
    }

    /// Present where the request asked for it and a prompt has begun.
    Optional<CacheReport> report() {
        if (plan.explainedPartition().isEmpty()) {
            return Optional.empty();
        }
        long kvTokens = 0;
        CacheExplanation worst = null;
        int mostLeft = Integer.MIN_VALUE;
        for (int i = 0; i < first.length; i++) {
            if (first[i] == null || first[i].explanation().isEmpty()) {
                continue;
            }
            CacheExplanation explanation = first[i].explanation().get();
            kvTokens += explanation.kvTokens();
            int left = plan.prompts().get(i).tokens().length - first[i].reusedTokens();
            if (left > mostLeft) {
                mostLeft = left;
                worst = explanation;
            }
        }
        return worst == null ? Optional.empty()
                : Optional.of(new CacheReport(kvTokens, cachedTokens(), worst, plan.explainedPartition().get()));
    }
}
