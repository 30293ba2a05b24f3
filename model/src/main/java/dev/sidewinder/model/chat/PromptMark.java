package dev.sidewinder.model.chat;

import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.model.tokenizer.TextRun;
import java.util.List;

/// A place in the tokens of a rendered conversation from which another prompt may go on.
///
/// @param position tokens before it
public record PromptMark(int position, Kind kind) {

    /// What ends or begins there.
    public enum Kind {
        /// end of the system message and the tools, which many conversations share
        SYSTEM_END,
        /// start of an assistant's turn: as far as the next prompt of the conversation is the same, where it drops the reasoning
        ANSWER_START,
        /// end of an assistant's turn that a tool result follows
        ANSWER_END
    }

    /// The marks of a rendered conversation, by rising position.
    ///
    /// @param runs   the conversation as the template wrote it
    /// @param tokens what the tokenizer made of it
    public static List<PromptMark> of(List<TextRun> runs, int[] tokens, ControlTokens control) {
        return PromptMarks.of(runs, tokens, control.turnStart());
    }
}
