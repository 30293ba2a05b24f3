package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.model.chat.ChatOutputParser;
import dev.sidewinder.model.chat.ChatPrompt;
import dev.sidewinder.model.chat.ChatTemplateException;
import dev.sidewinder.model.chat.GuideOptions;
import dev.sidewinder.model.chat.Message;
import dev.sidewinder.model.chat.PromptMark;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.model.tokenizer.TextRun;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/// A chat format with a template of a few lines and the real parser.
public final class FakeChat implements ChatFormat {

    private final Set<String> variables;
    /// What was rendered last.
    ChatPrompt rendered;
    /// What was to be enforced last.
    GuideOptions guided;

    /// @param variables names the template reads
    public FakeChat(Set<String> variables) {
        this.variables = variables;
    }

    @Override
    public List<TextRun> render(ChatPrompt prompt) {
        rendered = prompt;
        List<TextRun> runs = new ArrayList<>();
        for (JsonNode tool : prompt.tools()) {
            runs.add(new TextRun(tool.get("function").get("name").textValue(), false));
        }
        for (Message message : prompt.messages()) {
            if ("refuse me".equals(message.content())) {
                throw new ChatTemplateException("no such turn here\n");
            }
            runs.add(new TextRun("<|im_start|>" + message.role().name().toLowerCase() + "\n", true));
            runs.add(new TextRun(message.content() == null ? "" : message.content(), false));
            runs.add(new TextRun("<|im_end|>\n", true));
        }
        if (prompt.addGenerationPrompt()) {
            boolean thinks = prompt.variables().get("enable_thinking").booleanValue();
            runs.add(new TextRun("<|im_start|>assistant\n" + (thinks ? "<think>\n" : "<think></think>"), true));
        }
        return runs;
    }

    @Override
    public List<PromptMark> marks(List<TextRun> runs, int[] tokens) {
        return PromptMark.of(runs, tokens, FakeText.control());
    }

    @Override
    public ControlTokens control() {
        return FakeText.control();
    }

    @Override
    public boolean reads(String variable) {
        return variables.contains(variable);
    }

    @Override
    public Optional<Supplier<TokenGuide>> guides(GuideOptions options) {
        guided = options;
        return Optional.empty();
    }

    @Override
    public ChatOutputParser parser(AnswerFormat format) {
        return NemotronChat.parser(format, FakeText.control());
    }
}
