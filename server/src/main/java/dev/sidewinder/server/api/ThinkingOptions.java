package dev.sidewinder.server.api;

import java.util.OptionalInt;

/// Reasoning: whether, how much, and what becomes of it.
///
/// @param enabled              whether the model thinks before it answers
/// @param mediumEffort         thinking of medium effort: by the template, or by a budget where it knows none
/// @param budget               how much
/// @param includeReasoning     whether reasoning is sent
/// @param forceNonemptyContent whether an answer that never left its reasoning is also sent as content
public record ThinkingOptions(boolean enabled, boolean mediumEffort, Budget budget, boolean includeReasoning,
        boolean forceNonemptyContent) {

    /// @param tokens reasoning tokens; absent = as many as come
    /// @param grace  further tokens to wait for a newline; absent = by the budget
    /// @param named  whether the request said so itself, and not by an effort
    public record Budget(OptionalInt tokens, OptionalInt grace, boolean named) {}
}
