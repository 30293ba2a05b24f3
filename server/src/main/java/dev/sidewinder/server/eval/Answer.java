package dev.sidewinder.server.eval;

import java.util.List;

/// What the model said.
///
/// @param finishReason as the server tells it: `stop`, `length`, `tool_calls`
/// @param answerTokens reasoning included
public record Answer(String content, String reasoning, List<Call> calls, String finishReason, int promptTokens,
        int answerTokens) {

    /// @param arguments JSON text, as the model gave it
    public record Call(String name, String arguments) {}

    public Answer {
        calls = List.copyOf(calls);
    }

    /// Whether a reader would see the same; counts of tokens aside.
    boolean saysTheSameAs(Answer other) {
        return content.equals(other.content) && reasoning.equals(other.reasoning) && calls.equals(other.calls)
                && finishReason.equals(other.finishReason);
    }
}
