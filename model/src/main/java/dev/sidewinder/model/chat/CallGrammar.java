package dev.sidewinder.model.chat;

import dev.sidewinder.model.grammar.Expression;
import dev.sidewinder.model.grammar.Expressions;
import dev.sidewinder.model.grammar.Grammar;
import dev.sidewinder.model.grammar.GrammarException;
import dev.sidewinder.model.grammar.JsonText;
import dev.sidewinder.model.grammar.TokenTrie;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// What may stand between `<tool_call>` and `</tool_call>`:
/// `\n<function=NAME>\n(<parameter=K>\nVALUE\n</parameter>\n)*</function>\n`, with a name of one of the tools. Where a tool
/// is strict, K and VALUE are those of its schema; elsewhere they are any text that can be read back, no K twice.
///
/// Safe for use by many threads.
final class CallGrammar {
    private static final int LARGEST = 200_000;

    private final Grammar grammar;
    private final Grammar.State start;
    private final Expression freeFromKeyEnd;
    private final Set<String> freeTools = new HashSet<>();

    /// @throws dev.sidewinder.model.grammar.GrammarException when the schema of a strict tool cannot be enforced
    CallGrammar(List<CallableTool> tools, TokenTrie trie, int callEnd) {
        var make = new Expressions(LARGEST);
        var text = new CallText(make);
        Expression end = make.text("</function>\n");
        Expression freeParameter = make.sequence(make.text(CallText.PARAMETER), text.key(), text.fromKeyEnd(text.value()));
        Expression free = make.sequence(make.repeat(freeParameter), end);
        freeFromKeyEnd = make.sequence(text.fromKeyEnd(text.value()), free);
        List<Expression> functions = new ArrayList<>();
        for (CallableTool tool : tools) {
            functions.add(make.sequence(make.text(tool.name() + ">\n"), parameters(tool, make, text, end, free)));
        }
        Expression root = make.sequence(make.text("\n<function="), make.anyOf(functions));
        grammar = new Grammar(make, root, trie, callEnd);
        start = grammar.start();
    }

    private Expression parameters(CallableTool tool, Expressions make, CallText text, Expression end, Expression free) {
        if (!tool.strict()) {
            freeTools.add(tool.name());
            return free;
        }
        try {
            return new StrictParameters(make, text, new JsonText(make), tool, end).expression();
        } catch (GrammarException refusal) {
            throw new GrammarException(refusal.kind(), "tool '" + tool.name() + "', " + refusal.getMessage());
        }
    }

    Grammar grammar() {
        return grammar;
    }

    Grammar.State start() {
        return start;
    }

    /// Where a name of any text has to end: what may follow behind it.
    Grammar.State keyMustEnd() {
        return grammar.startOf(freeFromKeyEnd);
    }

    /// Follows the names of one call.
    ParameterNames names() {
        return new ParameterNames(freeTools);
    }
}
