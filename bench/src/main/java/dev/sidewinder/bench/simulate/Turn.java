package dev.sidewinder.bench.simulate;

import java.util.List;

/// One request of a conversation and what will come of it.
///
/// @param input           who speaks before the model does
/// @param delaySeconds    between the end of the answer before and this request: thinking, typing, running a tool; 0 for
///                        the first
/// @param messages        what is added to the conversation
/// @param reasoningTokens that the model will generate first; dropped from the conversation when a user speaks again
/// @param answerTokens    that it will generate then, at least 1
/// @param limitTokens     of reasoning and answer that the client allows
record Turn(Input input, double delaySeconds, List<Passage> messages, int reasoningTokens, int answerTokens, int limitTokens) {

    /// What a turn begins with.
    enum Input {
        /// A user's message.
        USER,
        /// The result of a tool that the model has called in the turn before.
        TOOL
    }

    Turn {
        messages = List.copyOf(messages);
        if (!(delaySeconds >= 0) || reasoningTokens < 0 || answerTokens < 1 || limitTokens < 1) {
            throw new IllegalArgumentException("a turn after " + delaySeconds + " s with " + reasoningTokens + " tokens of reasoning, "
                    + answerTokens + " of answer and a limit of " + limitTokens);
        }
    }

    /// Tokens that come out.
    int generatedTokens() {
        return Math.min(limitTokens, reasoningTokens + answerTokens);
    }
}
