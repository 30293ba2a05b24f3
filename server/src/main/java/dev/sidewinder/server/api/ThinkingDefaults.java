package dev.sidewinder.server.api;

import dev.sidewinder.model.chat.AnswerGuides;

/// How chats think where a request leaves it open.
///
/// @param enabled     `sidewinder.chat.thinking`: whether they do
/// @param budgets     `sidewinder.chat.effort-budgets`
/// @param closingText `sidewinder.chat.thinking-end-text`: what closes reasoning whose budget is spent
public record ThinkingDefaults(boolean enabled, EffortBudgets budgets, String closingText) {

    /// The budgets that efforts stand for, in tokens.
    ///
    /// @param medium where the template knows no medium effort
    public record EffortBudgets(int minimal, int low, int medium) {}

    public static ThinkingDefaults standard() {
        return new ThinkingDefaults(true, new EffortBudgets(512, 2_048, 8_192), AnswerGuides.CLOSING_TEXT);
    }
}
