package dev.sidewinder.model.chat;

/// How long a choice may think.
///
/// @param tokens from so many reasoning tokens on, the reasoning is closed behind the next newline
/// @param grace  so many tokens later it is closed wherever it is
public record ThinkingBudget(int tokens, int grace) {
    private static final int SMALLEST_GRACE = 32;
    private static final int LARGEST_GRACE = 500;

    public ThinkingBudget {
        if (tokens < 0 || grace < 0) {
            throw new IllegalArgumentException("a thinking budget of " + tokens + " tokens and " + grace + " of grace");
        }
    }

    /// A budget with the usual grace: a quarter of it, within bounds.
    public static ThinkingBudget of(int tokens) {
        return new ThinkingBudget(tokens, Math.min(LARGEST_GRACE, Math.max(SMALLEST_GRACE, tokens / 4)));
    }

    /// Whether the reasoning is to be closed now.
    ///
    /// @param generated  reasoning tokens so far
    /// @param atLineEnd  whether the newest token's text ends in a newline
    boolean isSpent(int generated, boolean atLineEnd) {
        return tokens == 0 || generated >= tokens && (atLineEnd || generated - tokens >= grace);
    }
}
