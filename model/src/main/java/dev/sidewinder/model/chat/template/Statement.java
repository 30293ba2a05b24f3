package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Expression.Call;
import dev.sidewinder.model.chat.template.Expression.FilterStep;
import java.util.List;

/// A statement of a template.
sealed interface Statement {
    int line();

    /// Text between tags.
    record Data(Value.Str text, int line) implements Statement {}

    /// `{{ value }}`
    record Print(Expression value, int line) implements Statement {}

    record If(List<Branch> branches, List<Statement> otherwise, int line) implements Statement {}

    record Branch(Expression test, List<Statement> body) {}

    /// @param filter    the expression after `if`, or null
    /// @param otherwise what runs when there was no element
    record For(Target target, Expression elements, Expression filter, boolean recursive, List<Statement> body,
            List<Statement> otherwise, int line) implements Statement {}

    record Break(int line) implements Statement {}

    record Continue(int line) implements Statement {}

    record Assign(Target target, Expression value, int line) implements Statement {}

    /// `{% set target | filters %}body{% endset %}`
    record AssignBlock(Target target, List<FilterStep> filters, List<Statement> body, int line) implements Statement {}

    record FilterBlock(List<FilterStep> filters, List<Statement> body, int line) implements Statement {}

    record MacroDefinition(String name, MacroBody macro, int line) implements Statement {}

    /// `{% call(parameters) macro(…) %}body{% endcall %}`: the body becomes the macro's `caller`.
    record CallBlock(Call call, MacroBody caller, int line) implements Statement {}

    /// @param usesCaller whether the body reads `caller` that it does not set itself; likewise the other two
    record MacroBody(List<Parameter> parameters, List<Statement> body, boolean usesCaller, boolean usesVarargs,
            boolean usesKwargs) {}

    /// @param defaultValue null when the parameter has none
    record Parameter(String name, Expression defaultValue) {}

    record With(List<Binding> bindings, List<Statement> body, int line) implements Statement {}

    record Binding(Target target, Expression value) {}

    /// `{% generation %}`: marks what an assistant says for training; for us a scope.
    record Generation(List<Statement> body, int line) implements Statement {}

    /// What can be assigned to.
    sealed interface Target {
        record Variable(String name) implements Target {}

        record Attribute(String namespace, String name) implements Target {}

        record Tuple(List<Target> parts) implements Target {}
    }
}
