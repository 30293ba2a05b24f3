package dev.sidewinder.model.chat;

import dev.sidewinder.model.tokenizer.TextRun;
import java.util.List;

/// The chat template of a checkpoint. Safe for use by many threads.
public final class ChatTemplate {

    /// Compiles a template.
    ///
    /// @throws dev.sidewinder.model.checkpoint.CheckpointException when it uses what we do not know, with the line
    public static ChatTemplate compile(String name, String source) {
        throw new UnsupportedOperationException("skeleton");
    }

    /// Renders a conversation into runs: text that the template wrote, and text that came from the conversation.
    ///
    /// @throws ChatTemplateException when the template refuses the conversation or exceeds its budgets
    public List<TextRun> render(ChatPrompt prompt) {
        throw new UnsupportedOperationException("skeleton");
    }

    /// Whether the template reads a variable of this name.
    public boolean reads(String variable) {
        throw new UnsupportedOperationException("skeleton");
    }
}
