package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Expression.CallArguments;
import dev.sidewinder.model.chat.template.Expression.FilterStep;
import dev.sidewinder.model.chat.template.Statement.Branch;
import dev.sidewinder.model.chat.template.Statement.MacroBody;
import dev.sidewinder.model.chat.template.Statement.Parameter;
import dev.sidewinder.model.chat.template.Statement.Target;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// Finds the names that statements read without having set them: those come from outside.
///
/// `{% set x = x | default(1) %}` reads `x`; `{% set x = 1 %}{{ x }}` does not. A name set in one branch of an `if` only
/// counts as unset after it.
final class VariableReads {
    private final Set<String> reads = new HashSet<>();
    private Names names = new Names(null, new HashSet<>());

    /// The names set so far, here and in the scopes around.
    private record Names(Names outer, Set<String> set) {
        boolean contains(String name) {
            for (Names scope = this; scope != null; scope = scope.outer) {
                if (scope.set.contains(name)) {
                    return true;
                }
            }
            return false;
        }
    }

    private VariableReads() {}

    /// The names that a body with these parameters reads from outside.
    static Set<String> of(List<Parameter> parameters, List<Statement> body) {
        VariableReads found = new VariableReads();
        found.parameters(parameters);
        found.statements(body);
        return found.reads;
    }

    private void parameters(List<Parameter> parameters) {
        for (Parameter parameter : parameters) {
            names.set().add(parameter.name());
        }
        for (Parameter parameter : parameters) {
            expression(parameter.defaultValue());
        }
    }

    private void statements(List<Statement> body) {
        body.forEach(this::statement);
    }

    private void inScope(Runnable walk) {
        names = new Names(names, new HashSet<>());
        walk.run();
        names = names.outer();
    }

    private void statement(Statement statement) {
        switch (statement) {
            case Statement.Data _, Statement.Break _, Statement.Continue _ -> { }
            case Statement.Print print -> expression(print.value());
            case Statement.If choice -> choice(choice);
            case Statement.For loop -> loop(loop);
            case Statement.Assign assign -> {
                expression(assign.value());
                target(assign.target());
            }
            case Statement.AssignBlock block -> {
                filters(block.filters());
                inScope(() -> statements(block.body()));
                target(block.target());
            }
            case Statement.FilterBlock block -> {
                filters(block.filters());
                inScope(() -> statements(block.body()));
            }
            case Statement.MacroDefinition definition -> {
                names.set().add(definition.name());
                macro(definition.macro());
            }
            case Statement.CallBlock block -> {
                expression(block.call());
                macro(block.caller());
            }
            case Statement.With with -> {
                with.bindings().forEach(binding -> expression(binding.value()));
                inScope(() -> {
                    with.bindings().forEach(binding -> target(binding.target()));
                    statements(with.body());
                });
            }
            case Statement.Generation generation -> inScope(() -> statements(generation.body()));
        }
    }

    private void choice(Statement.If choice) {
        Set<String> setInAll = null;
        for (Branch branch : choice.branches()) {
            expression(branch.test());
            setInAll = both(setInAll, setBy(branch.body()));
        }
        names.set().addAll(both(setInAll, setBy(choice.otherwise())));
    }

    private Set<String> setBy(List<Statement> body) {
        names = new Names(names, new HashSet<>());
        statements(body);
        Set<String> set = names.set();
        names = names.outer();
        return set;
    }

    private static Set<String> both(Set<String> a, Set<String> b) {
        if (a != null) {
            b.retainAll(a);
        }
        return b;
    }

    private void loop(Statement.For loop) {
        expression(loop.elements());
        inScope(() -> {
            target(loop.target());
            expression(loop.filter());
            names.set().add("loop");
            statements(loop.body());
        });
        inScope(() -> statements(loop.otherwise()));
    }

    private void macro(MacroBody macro) {
        inScope(() -> {
            parameters(macro.parameters());
            names.set().addAll(List.of("caller", "varargs", "kwargs"));
            statements(macro.body());
        });
    }

    private void target(Target target) {
        switch (target) {
            case Target.Variable variable -> names.set().add(variable.name());
            case Target.Attribute attribute -> read(attribute.namespace());
            case Target.Tuple tuple -> tuple.parts().forEach(this::target);
        }
    }

    private void read(String name) {
        if (!names.contains(name)) {
            reads.add(name);
        }
    }

    private void filters(List<FilterStep> filters) {
        filters.forEach(filter -> arguments(filter.arguments()));
    }

    private void arguments(CallArguments arguments) {
        arguments.positional().forEach(this::expression);
        arguments.named().forEach(named -> expression(named.value()));
        expression(arguments.rest());
        expression(arguments.namedRest());
    }

    private void expression(Expression expression) {
        switch (expression) {
            case null -> { }
            case Expression.Literal _ -> { }
            case Expression.Name name -> read(name.name());
            case Expression.ListOf list -> list.items().forEach(this::expression);
            case Expression.DictOf dict -> dict.pairs().forEach(pair -> {
                expression(pair.key());
                expression(pair.value());
            });
            case Expression.Unary unary -> expression(unary.operand());
            case Expression.Binary binary -> {
                expression(binary.left());
                expression(binary.right());
            }
            case Expression.Logical logical -> {
                expression(logical.left());
                expression(logical.right());
            }
            case Expression.Concat concat -> concat.parts().forEach(this::expression);
            case Expression.Compare compare -> {
                expression(compare.first());
                compare.steps().forEach(step -> expression(step.right()));
            }
            case Expression.Conditional conditional -> {
                expression(conditional.test());
                expression(conditional.then());
                expression(conditional.otherwise());
            }
            case Expression.Attribute attribute -> expression(attribute.target());
            case Expression.Index index -> {
                expression(index.target());
                expression(index.index());
            }
            case Expression.Slice slice -> {
                expression(slice.target());
                expression(slice.start());
                expression(slice.stop());
                expression(slice.step());
            }
            case Expression.Call call -> {
                expression(call.target());
                arguments(call.arguments());
            }
            case Expression.Filtered filtered -> {
                expression(filtered.target());
                arguments(filtered.filter().arguments());
            }
            case Expression.Tested tested -> {
                expression(tested.target());
                arguments(tested.arguments());
            }
        }
    }
}
