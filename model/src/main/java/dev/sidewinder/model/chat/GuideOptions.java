package dev.sidewinder.model.chat;

import java.util.List;
import java.util.Optional;
import java.util.Set;

/// What holds the answers of one request to their form.
///
/// @param thinking   whether the prompt opened reasoning
/// @param budget     of the reasoning; absent = none
/// @param tools      what may be called; empty = no calls, and their tags are text
/// @param calls      when a call is made
/// @param stopTokens that end an answer
public record GuideOptions(boolean thinking, Optional<ThinkingBudget> budget, List<CallableTool> tools, Calls calls,
        Set<Integer> stopTokens) {

    /// When calls are made.
    public enum Calls {
        /// where the model begins one
        FREE,
        /// where the model begins one; the first ends the answer
        FREE_ONE,
        /// from the first content token on, until the turn ends
        FORCED,
        /// from the first content token on; the first ends the answer
        FORCED_ONE;

        public boolean forced() {
            return this == FORCED || this == FORCED_ONE;
        }

        boolean one() {
            return this == FREE_ONE || this == FORCED_ONE;
        }
    }

    public GuideOptions {
        tools = List.copyOf(tools);
        stopTokens = Set.copyOf(stopTokens);
    }
}
