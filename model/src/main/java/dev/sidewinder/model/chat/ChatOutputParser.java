package dev.sidewinder.model.chat;

import java.util.List;

/// Separates one answer into reasoning, content and tool calls while it streams. For one answer, one thread.
///
/// State changes by the ids of the control tokens, never by text that spells them. However the tokens are grouped, the
/// joined deltas are the same.
public interface ChatOutputParser {

    /// How an answer came to its end.
    enum End {
        /// a stop token or a stop string
        STOP,
        /// the token limit
        LENGTH
    }

    /// Takes one token that is not a stop token.
    ///
    /// @param text what the stream decoder made of it, may be empty or hold several characters
    List<OutputDelta> accept(int token, String text);

    /// Takes the end. `text` is what the stream decoder still held.
    List<OutputDelta> finish(String text, End end);

    /// Tokens up to and including the one that closed the reasoning.
    int reasoningTokens();

    /// Complete tool calls so far.
    int toolCalls();

    /// Whether the answer is over before a stop token came, and generation should end: a stop string was found in the
    /// content, or the one tool call that was allowed is complete. Further tokens are passed over.
    boolean stopped();
}
