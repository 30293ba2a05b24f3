package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import dev.sidewinder.model.chat.AnswerGuides;
import dev.sidewinder.model.chat.CallableTool;
import dev.sidewinder.model.chat.ChatOutputParser;
import dev.sidewinder.model.chat.ChatPrompt;
import dev.sidewinder.model.chat.ChatTemplate;
import dev.sidewinder.model.chat.GuideOptions;
import dev.sidewinder.model.chat.NemotronOutputParser;
import dev.sidewinder.model.chat.PromptMark;
import dev.sidewinder.model.grammar.GrammarException;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.model.tokenizer.TextRun;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/// Conversations by the template of a checkpoint, answers by the parser of the Nemotron-3 family.
public final class NemotronChat implements ChatFormat {

    private final ChatTemplate template;
    private final ControlTokens control;
    private final AnswerGuides guides;

    public NemotronChat(ChatTemplate template, ControlTokens control, AnswerGuides guides) {
        this.template = template;
        this.control = control;
        this.guides = guides;
    }

    @Override
    public List<TextRun> render(ChatPrompt prompt) {
        return template.render(prompt);
    }

    @Override
    public List<PromptMark> marks(List<TextRun> runs, int[] tokens) {
        return PromptMark.of(runs, tokens, control);
    }

    @Override
    public ControlTokens control() {
        return control;
    }

    @Override
    public boolean reads(String variable) {
        return template.reads(variable);
    }

    @Override
    public Optional<Supplier<TokenGuide>> guides(GuideOptions wanted) {
        if (wanted.calls().forced() && !guides.knowsCalls()) {
            throw ApiErrors.invalid("unsupported_value", "tool_choice", "The tokenizer of this model has no tokens for tool "
                    + "calls, so none can be forced; use auto.");
        }
        if (wanted.thinking() && wanted.budget().isPresent() && !guides.knowsThinking()) {
            throw ApiErrors.invalid("unsupported_value", "thinking_token_budget", "The tokenizer of this model has no token "
                    + "that closes reasoning, so no budget can be kept; leave it out.");
        }
        if (!guides.knowsCalls() && wanted.tools().stream().anyMatch(CallableTool::strict)) {
            throw ApiErrors.invalid("unsupported_value", "tools", "The tokenizer of this model has no tokens for tool calls, so "
                    + "none can be held to its schema; leave 'strict' out.");
        }
        try {
            return guides.of(wanted);
        } catch (GrammarException refusal) {
            throw ApiErrors.invalid(switch (refusal.kind()) {
                case UNSUPPORTED, INVALID -> "invalid_json_schema";
                case TOO_COMPLEX -> "grammar_too_complex";
            }, "tools", "A strict schema can not be kept: " + refusal.getMessage() + ".");
        }
    }

    @Override
    public ChatOutputParser parser(AnswerFormat format) {
        return parser(format, control);
    }

    static ChatOutputParser parser(AnswerFormat format, ControlTokens control) {
        return new NemotronOutputParser(new NemotronOutputParser.Options(format.thinking(), control,
                schemas(format.tools()), format.parallelCalls(), format.forceNonemptyContent(), format.stops().strings(),
                format.stops().includeInOutput(), format.minTokens()));
    }

    /// The schema of the parameters by name of the tool.
    private static Map<String, JsonNode> schemas(List<JsonNode> tools) {
        Map<String, JsonNode> schemas = new HashMap<>();
        for (JsonNode tool : tools) {
            JsonNode function = tool.get("function");
            JsonNode parameters = function.path("parameters");
            schemas.put(function.get("name").textValue(),
                    parameters.isObject() ? parameters : JsonNodeFactory.instance.objectNode());
        }
        return schemas;
    }
}
