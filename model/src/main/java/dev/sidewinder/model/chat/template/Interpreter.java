package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Expression.FilterStep;
import dev.sidewinder.model.chat.template.Statement.Branch;
import dev.sidewinder.model.chat.template.Statement.MacroBody;
import dev.sidewinder.model.chat.template.Statement.Parameter;
import dev.sidewinder.model.chat.template.Statement.Target;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Runs statements. One interpreter renders once.
final class Interpreter {
    /// How a block ended.
    private enum Flow {
        NORMAL, BREAK, CONTINUE
    }

    private final Render render;
    private final Evaluator evaluator;
    private TextBuilder output = new TextBuilder();

    Interpreter(Render render, Map<String, Value> globals) {
        this.render = render;
        this.evaluator = new Evaluator(render, globals);
    }

    Text run(List<Statement> template, Scope scope) {
        body(template, scope);
        return output.text();
    }

    private Flow body(List<Statement> statements, Scope scope) {
        render.budget().enterEvaluation();
        Flow flow = Flow.NORMAL;
        for (int i = 0; i < statements.size() && flow == Flow.NORMAL; i++) {
            flow = statement(statements.get(i), scope);
        }
        render.budget().leaveEvaluation();
        return flow;
    }

    private Flow statement(Statement statement, Scope scope) {
        render.budget().step();
        render.at(statement.line());
        switch (statement) {
            case Statement.Data data -> write(data.text());
            case Statement.Print print -> write(evaluator.evaluate(print.value(), scope));
            case Statement.If choice -> {
                return choice(choice, scope);
            }
            case Statement.For loop -> loop(loop, scope, evaluator.evaluate(loop.elements(), scope), 1);
            case Statement.Break _ -> {
                return Flow.BREAK;
            }
            case Statement.Continue _ -> {
                return Flow.CONTINUE;
            }
            case Statement.Assign assign -> assign(assign.target(), evaluator.evaluate(assign.value(), scope), scope);
            case Statement.AssignBlock block -> {
                Value captured = Value.of(capture(block.body(), new Scope(scope)));
                assign(block.target(), filtered(captured, block.filters(), scope), scope);
            }
            case Statement.FilterBlock block ->
                write(filtered(Value.of(capture(block.body(), new Scope(scope))), block.filters(), scope));
            case Statement.MacroDefinition definition ->
                scope.set(definition.name(), macro(definition.name(), definition.macro(), scope));
            case Statement.CallBlock block ->
                write(evaluator.call(block.call(), scope, Map.of("caller", macro("caller", block.caller(), scope))));
            case Statement.With with -> with(with, scope);
            case Statement.Generation generation -> body(generation.body(), new Scope(scope));
        }
        return Flow.NORMAL;
    }

    private void write(Value value) {
        Text text = PythonPrint.str(render, value);
        render.budget().work(text.length());
        output.append(text);
    }

    private Flow choice(Statement.If choice, Scope scope) {
        for (Branch branch : choice.branches()) {
            if (Values.truth(evaluator.evaluate(branch.test(), scope))) {
                return body(branch.body(), scope);
            }
        }
        return body(choice.otherwise(), scope);
    }

    private void loop(Statement.For loop, Scope scope, Value over, int depth) {
        render.at(loop.line());
        List<Value> elements = wanted(loop, scope, Values.elements(render, over));
        Value.Function.Body recursion = loop.recursive() ? (_, arguments) -> recurse(loop, scope, arguments, depth) : null;
        LoopState state = new LoopState(elements, depth, recursion);
        // Jinja's else runs when no round came to its end, also after a break or continue in each of them
        boolean completed = false;
        for (Value element : elements) {
            render.budget().step();
            state.advance();
            Scope inside = new Scope(scope);
            inside.set("loop", state);
            render.at(loop.line());
            assign(loop.target(), element, inside);
            Flow flow = body(loop.body(), inside);
            completed |= flow == Flow.NORMAL;
            if (flow == Flow.BREAK) {
                break;
            }
        }
        if (!completed) {
            body(loop.otherwise(), new Scope(scope));
        }
    }

    /// The elements for which the loop's `if` holds.
    private List<Value> wanted(Statement.For loop, Scope scope, List<Value> elements) {
        if (loop.filter() == null) {
            return elements;
        }
        List<Value> wanted = new ArrayList<>();
        for (Value element : elements) {
            Scope inside = new Scope(scope);
            assign(loop.target(), element, inside);
            if (Values.truth(evaluator.evaluate(loop.filter(), inside))) {
                wanted.add(element);
            }
        }
        return wanted;
    }

    private Value recurse(Statement.For loop, Scope scope, Arguments arguments, int depth) {
        Value over = arguments.bindRequired("loop", 1, "elements")[0];
        TextBuilder outside = output;
        output = new TextBuilder();
        render.budget().enterCall();
        loop(loop, scope, over, depth + 1);
        render.budget().leaveCall();
        Text text = output.text();
        output = outside;
        return Value.of(text);
    }

    private void assign(Target target, Value value, Scope scope) {
        switch (target) {
            case Target.Variable variable -> scope.set(variable.name(), value);
            case Target.Attribute attribute -> {
                if (!(scope.get(attribute.namespace()) instanceof Namespace namespace)) {
                    throw new RenderException("'" + attribute.namespace() + "' is no namespace, its attributes cannot be set");
                }
                namespace.set(attribute.name(), value);
            }
            case Target.Tuple tuple -> {
                Comparisons.failUndefined(value);
                List<Value> parts = Values.elements(render, value);
                if (parts.size() != tuple.parts().size()) {
                    throw new RenderException("cannot assign " + parts.size() + " values to " + tuple.parts().size() + " names");
                }
                for (int i = 0; i < parts.size(); i++) {
                    assign(tuple.parts().get(i), parts.get(i), scope);
                }
            }
        }
    }

    private void with(Statement.With with, Scope scope) {
        Scope inside = new Scope(scope);
        for (Statement.Binding binding : with.bindings()) {
            assign(binding.target(), evaluator.evaluate(binding.value(), scope), inside);
        }
        body(with.body(), inside);
    }

    private Value filtered(Value value, List<FilterStep> filters, Scope scope) {
        Value result = value;
        for (FilterStep filter : filters) {
            result = evaluator.filter(filter, result, scope);
        }
        return result;
    }

    /// What the statements print, kept from the output.
    private Text capture(List<Statement> statements, Scope scope) {
        TextBuilder outside = output;
        output = new TextBuilder();
        body(statements, scope);
        Text captured = output.text();
        output = outside;
        return captured;
    }

    private Value.Function macro(String name, MacroBody macro, Scope defined) {
        return new Value.Function(name, (_, arguments) -> {
            render.budget().enterCall();
            Scope scope = new Scope(defined);
            parameters(name, macro, arguments, scope);
            Value printed = Value.of(capture(macro.body(), scope));
            render.budget().leaveCall();
            return printed;
        });
    }

    private void parameters(String name, MacroBody macro, Arguments arguments, Scope scope) {
        Map<String, Value> named = new LinkedHashMap<>(arguments.named());
        List<Value> positional = arguments.positional();
        List<Parameter> parameters = macro.parameters();
        for (int i = 0; i < parameters.size(); i++) {
            Parameter parameter = parameters.get(i);
            Value value = i < positional.size() ? positional.get(i) : named.remove(parameter.name());
            scope.set(parameter.name(), value != null ? value : missing(parameter, scope));
        }
        if (macro.usesCaller()) {
            Value caller = named.remove("caller");
            scope.set("caller", caller != null ? caller : new Value.Undefined("macro '" + name + "' was not called by a call block"));
        }
        if (macro.usesKwargs()) {
            Dict rest = new Dict();
            named.forEach(rest::put);
            scope.set("kwargs", rest);
        } else if (!named.isEmpty()) {
            throw new RenderException("macro '" + name + "' has no argument '" + named.keySet().iterator().next() + "'");
        }
        List<Value> surplus = positional.subList(Math.min(parameters.size(), positional.size()), positional.size());
        if (macro.usesVarargs()) {
            scope.set("varargs", Value.tuple(List.copyOf(surplus)));
        } else if (!surplus.isEmpty()) {
            throw new RenderException("macro '" + name + "' takes at most " + parameters.size() + " arguments, not " + positional.size());
        }
    }

    private Value missing(Parameter parameter, Scope scope) {
        return parameter.defaultValue() != null ? evaluator.evaluate(parameter.defaultValue(), scope)
                : new Value.Undefined("parameter '" + parameter.name() + "' was not provided");
    }
}
