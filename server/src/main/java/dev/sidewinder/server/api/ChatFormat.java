package dev.sidewinder.server.api;

import dev.sidewinder.model.chat.ChatOutputParser;
import dev.sidewinder.model.chat.ChatPrompt;
import dev.sidewinder.model.chat.GuideOptions;
import dev.sidewinder.model.chat.PromptMark;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.model.tokenizer.TextRun;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/// How a model writes conversations. Safe for use by many threads.
public interface ChatFormat {

    /// @throws dev.sidewinder.model.chat.ChatTemplateException when the template refuses the conversation
    List<TextRun> render(ChatPrompt prompt);

    /// Where in a rendered conversation other prompts may go on.
    ///
    /// @param tokens what [ModelText#encode(List)] made of it
    List<PromptMark> marks(List<TextRun> runs, int[] tokens);

    /// The tokens that open and close turns and what is in them.
    ControlTokens control();

    /// Whether the template reads a variable of this name.
    boolean reads(String variable);

    /// Guides for the choices of a request; empty where nothing is enforced.
    ///
    /// @throws ApiException 400 when what is asked for cannot be enforced
    Optional<Supplier<TokenGuide>> guides(GuideOptions options);

    /// A parser for one answer.
    ChatOutputParser parser(AnswerFormat format);
}
