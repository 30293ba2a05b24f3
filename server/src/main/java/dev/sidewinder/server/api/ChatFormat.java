package dev.sidewinder.server.api;

import dev.sidewinder.model.chat.ChatOutputParser;
import dev.sidewinder.model.chat.ChatPrompt;
import dev.sidewinder.model.tokenizer.TextRun;
import java.util.List;

/// How a model writes conversations. Safe for use by many threads.
public interface ChatFormat {

    /// @throws dev.sidewinder.model.chat.ChatTemplateException when the template refuses the conversation
    List<TextRun> render(ChatPrompt prompt);

    /// Whether the template reads a variable of this name.
    boolean reads(String variable);

    /// A parser for one answer.
    ChatOutputParser parser(AnswerFormat format);
}
