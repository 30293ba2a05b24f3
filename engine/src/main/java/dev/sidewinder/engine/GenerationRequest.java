package dev.sidewinder.engine;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.scheduler.Claim;
import dev.sidewinder.scheduler.Mark;
import dev.sidewinder.scheduler.Prefixes;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/// One prompt and how to go on from it.
///
/// @param id             request id, for logs
/// @param prompt         token ids, at least one; not to be changed afterwards
/// @param maxTokens      tokens to generate at most, per choice; 0 only scores the prompt
/// @param minTokens      stop tokens are masked before this many generated tokens
/// @param stopTokens     tokens that end a choice; empty = none (`ignore_eos`)
/// @param choices        independent continuations
/// @param promptLogprobs -1 = none, otherwise how many alternatives to report for each prompt token
/// @param guides         makes what holds each choice to its form; absent = nothing does
/// @param partition      whose prefixes it may use and leaves its own to; empty = it uses none and leaves none, as one must that
///                       has its prompt scored
/// @param marks          where in the prompt the state is worth keeping, by rising position
/// @param keepsAnswer    whether the state is worth keeping at the end of the answer, too: where a tool's result is likely to follow
/// @param explainCache   whether [GenerationEvent.Admitted] is to say why no more of the prompt was there
/// @param priority       lower goes first, -1000 to 1000
/// @param tenant         whose share of the engine it uses: the key of fairness. Requests of one tenant and priority go in order of
///                       arrival; tenants take turns in tokens as long as several have requests waiting, in proportion to the weights
///                       of the [QueueShare]s that their places were reserved with. It says nothing about prefixes, which `partition`
///                       divides. Servers put the id of the caller's API key here; a program that serves nobody else leaves it empty
public record GenerationRequest(String id, int[] prompt, int maxTokens, int minTokens, Set<Integer> stopTokens,
        int choices, int promptLogprobs, SamplingParams sampling, Optional<Supplier<TokenGuide>> guides,
        Optional<Partition> partition, List<Mark> marks, boolean keepsAnswer, boolean explainCache, int priority, String tenant) {

    /// Uses no prefixes, and is as urgent as any other.
    public GenerationRequest(String id, int[] prompt, int maxTokens, int minTokens, Set<Integer> stopTokens, int choices,
            int promptLogprobs, SamplingParams sampling, Optional<Supplier<TokenGuide>> guides) {
        this(id, prompt, maxTokens, minTokens, stopTokens, choices, promptLogprobs, sampling, guides, Optional.empty(), List.of(),
                false, false, 0, "");
    }

    /// Nothing holds the choices to a form, either.
    public GenerationRequest(String id, int[] prompt, int maxTokens, int minTokens, Set<Integer> stopTokens, int choices,
            int promptLogprobs, SamplingParams sampling) {
        this(id, prompt, maxTokens, minTokens, stopTokens, choices, promptLogprobs, sampling, Optional.empty());
    }

    public GenerationRequest {
        stopTokens = Set.copyOf(stopTokens);
        marks = List.copyOf(marks);
        if (prompt.length == 0 || maxTokens < 0 || minTokens < 0 || choices < 1 || promptLogprobs < -1) {
            throw new IllegalArgumentException("request " + id + " has " + prompt.length + " prompt tokens, maxTokens "
                    + maxTokens + ", minTokens " + minTokens + ", " + choices + " choices, promptLogprobs " + promptLogprobs);
        }
        if (priority < Claim.FIRST || priority > Claim.LAST) {
            throw new IllegalArgumentException("request " + id + " has priority " + priority + "; it must be between " + Claim.FIRST
                    + " and " + Claim.LAST);
        }
        Objects.requireNonNull(tenant, "a request without a tenant");
        if (partition.isPresent() && promptLogprobs >= 0) {
            throw new IllegalArgumentException("request " + id + " has its prompt scored, so it cannot go on from a prefix");
        }
        for (int i = 0; i < marks.size(); i++) {
            int above = i == 0 ? 0 : marks.get(i - 1).position();
            if (marks.get(i).position() < above || marks.get(i).position() > prompt.length) {
                throw new IllegalArgumentException("request " + id + " has marks that do not rise within its prompt of "
                        + prompt.length + " tokens: " + marks);
            }
        }
    }

    /// The same with the use of prefixes.
    public GenerationRequest withPrefixes(Partition partition, List<Mark> marks, boolean explainCache) {
        return new GenerationRequest(id, prompt, maxTokens, minTokens, stopTokens, choices, promptLogprobs, sampling, guides,
                Optional.of(partition), marks, keepsAnswer, explainCache, priority, tenant);
    }

    /// The same with the state kept at the end of the answer.
    public GenerationRequest keepingAnswer() {
        return new GenerationRequest(id, prompt, maxTokens, minTokens, stopTokens, choices, promptLogprobs, sampling, guides,
                partition, marks, true, explainCache, priority, tenant);
    }

    /// The same with another urgency and owner.
    public GenerationRequest withUrgency(int priority, String tenant) {
        return new GenerationRequest(id, prompt, maxTokens, minTokens, stopTokens, choices, promptLogprobs, sampling, guides,
                partition, marks, keepsAnswer, explainCache, priority, tenant);
    }

    /// What its sequences have to do with the prefixes of others.
    Prefixes prefixes() {
        return new Prefixes(partition, marks, keepsAnswer, explainCache);
    }

    /// Whether one choice is to compute the prompt for the others: at least a block of it can be gone on from.
    boolean sharesPrompt() {
        return choices > 1 && partition.isPresent() && prompt.length > CacheShape.BLOCK_TOKENS;
    }

    boolean scoresPrompt() {
        return promptLogprobs >= 0;
    }
}
