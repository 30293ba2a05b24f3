package dev.sidewinder.server.api;

/// Reasoning: whether, and what becomes of it.
///
/// @param enabled              whether the model thinks before it answers
/// @param mediumEffort         thinking of medium effort, which the template must know
/// @param includeReasoning     whether reasoning is sent
/// @param forceNonemptyContent whether an answer that never left its reasoning is also sent as content
public record ThinkingOptions(boolean enabled, boolean mediumEffort, boolean includeReasoning,
        boolean forceNonemptyContent) {}
