package dev.sidewinder.model.chat.template;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.chat.ChatTemplateException;
import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.tokenizer.TextRun;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// A compiled Jinja template, with the settings of transformers: `trim_blocks`, `lstrip_blocks`, `break` and `continue`,
/// `{% generation %}`, `raise_exception`, `strftime_now`, and `tojson` without HTML escapes. Safe for use by many threads.
///
/// Templates come with models and are not trusted: they reach the variables they are given and nothing else, and every
/// rendering has a {@link Budget}.
public final class Template {
    private final String name;
    private final List<Statement> statements;
    private final Set<String> reads;

    private Template(String name, List<Statement> statements) {
        this.name = name;
        this.statements = statements;
        this.reads = Set.copyOf(VariableReads.of(List.of(), statements));
    }

    /// Parses a template.
    ///
    /// @param name for messages
    /// @throws CheckpointException when the source is no template we know, with name and line
    public static Template compile(String name, String source) {
        try {
            return new Template(name, StatementParser.parse(source));
        } catch (SyntaxError error) {
            throw new CheckpointException(name + ", line " + error.line() + ": " + error.getMessage());
        }
    }

    /// Renders the template.
    ///
    /// @param variables     what the template may read; all text inside counts as the conversation's
    /// @param trustedTexts  more variables, whose text counts as the template's own (the names of special tokens)
    /// @param clock         what `strftime_now` reads
    /// @return pieces of one origin each, in order; their texts joined are what Jinja would print
    /// @throws ChatTemplateException when the template raises an error or spends its budget, with name and line
    public List<TextRun> render(ObjectNode variables, Map<String, String> trustedTexts, Clock clock) {
        Render render = new Render(clock);
        try {
            Scope scope = new Scope(null);
            for (Map.Entry<String, JsonNode> variable : variables.properties()) {
                scope.set(variable.getKey(), JsonValues.of(variable.getValue()));
            }
            trustedTexts.forEach((variable, text) -> scope.set(variable, Value.of(Text.ofTemplate(text))));
            return new Interpreter(render, Globals.ALL).run(statements, scope).runs();
        } catch (RenderException error) {
            throw new ChatTemplateException(name + ", line " + render.line() + ": " + error.getMessage());
        }
    }

    /// Whether the template reads a variable of this name from outside.
    public boolean reads(String variable) {
        return reads.contains(variable);
    }
}
