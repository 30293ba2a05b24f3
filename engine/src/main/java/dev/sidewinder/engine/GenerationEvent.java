package dev.sidewinder.engine;

import dev.sidewinder.kvcache.CacheExplanation;
import java.util.Optional;

/// What happens to a request. Events of one choice are in order.
public sealed interface GenerationEvent {

    /// The choice has begun: comes once and first, when its first step has completed, and not for a choice that ends before.
    ///
    /// @param reusedTokens tokens of its prompt that are not computed for it, because they have been before
    /// @param explanation  what there was and why not more; present where the request asked for it
    record Admitted(int choice, int reusedTokens, Optional<CacheExplanation> explanation) implements GenerationEvent {}

    /// The prompt has been scored; comes once, before the first token, and only when it was asked for.
    ///
    /// @param logprobs one per prompt token; the first is null, nothing stands before it
    record PromptScored(TokenLogprobs[] logprobs) implements GenerationEvent {}

    /// A token.
    ///
    /// @param index    position among the generated tokens, from 0
    /// @param logprobs null unless asked for
    /// @param stop     whether this is the stop token that ends the choice
    record Token(int choice, int index, int token, TokenLogprobs logprobs, boolean stop) implements GenerationEvent {}

    /// The choice is complete; nothing follows for it.
    record Finished(int choice, FinishReason reason) implements GenerationEvent {}

    /// The whole request failed; nothing follows.
    record Failed(EngineException cause) implements GenerationEvent {}
}
