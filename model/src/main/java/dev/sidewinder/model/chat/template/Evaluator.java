package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Expression.CallArguments;
import dev.sidewinder.model.chat.template.Expression.FilterStep;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Computes expressions.
final class Evaluator {
    private final Render render;
    private final Map<String, Value> globals;

    Evaluator(Render render, Map<String, Value> globals) {
        this.render = render;
        this.globals = globals;
    }

    Value evaluate(Expression expression, Scope scope) {
        render.budget().step();
        render.budget().enterEvaluation();
        Value value = switch (expression) {
            case Expression.Literal literal -> literal.value();
            case Expression.Name name -> name(name.name(), scope);
            case Expression.ListOf list -> new Value.Seq(all(list.items(), scope), list.tuple());
            case Expression.DictOf dict -> dict(dict, scope);
            case Expression.Unary unary -> {
                Value operand = evaluate(unary.operand(), scope);
                render.at(unary.line());
                yield Operators.unary(unary.operator(), operand);
            }
            case Expression.Binary binary -> {
                Value left = evaluate(binary.left(), scope);
                Value right = evaluate(binary.right(), scope);
                render.at(binary.line());
                yield Operators.apply(render, binary.operator(), left, right);
            }
            case Expression.Logical logical -> {
                Value left = evaluate(logical.left(), scope);
                yield Values.truth(left) == logical.and() ? evaluate(logical.right(), scope) : left;
            }
            case Expression.Concat concat -> concat(concat, scope);
            case Expression.Compare compare -> compare(compare, scope);
            case Expression.Conditional conditional -> conditional(conditional, scope);
            case Expression.Attribute attribute -> {
                Value target = evaluate(attribute.target(), scope);
                render.at(attribute.line());
                yield Attributes.attribute(render, target, attribute.name());
            }
            case Expression.Index index -> {
                Value target = evaluate(index.target(), scope);
                Value key = evaluate(index.index(), scope);
                render.at(index.line());
                yield Attributes.item(render, target, key);
            }
            case Expression.Slice slice -> slice(slice, scope);
            case Expression.Call call -> call(call, scope, Map.of());
            case Expression.Filtered filtered -> filter(filtered.filter(), evaluate(filtered.target(), scope), scope);
            case Expression.Tested tested -> {
                Value target = evaluate(tested.target(), scope);
                Arguments arguments = arguments(tested.arguments(), scope, Map.of());
                render.at(tested.line());
                yield Value.of(Tests.test(render, tested.test(), target, arguments));
            }
        };
        render.budget().leaveEvaluation();
        return value;
    }

    private Value name(String name, Scope scope) {
        Value value = scope.get(name);
        if (value == null) {
            value = globals.get(name);
        }
        return value == null ? new Value.Undefined("'" + name + "' is undefined") : value;
    }

    private List<Value> all(List<Expression> expressions, Scope scope) {
        List<Value> values = new ArrayList<>(expressions.size());
        for (Expression expression : expressions) {
            values.add(evaluate(expression, scope));
        }
        return values;
    }

    private Value dict(Expression.DictOf written, Scope scope) {
        Dict dict = new Dict();
        for (Expression.Pair pair : written.pairs()) {
            Value key = evaluate(pair.key(), scope);
            Value value = evaluate(pair.value(), scope);
            render.at(written.line());
            dict.put(key, value);
        }
        return dict;
    }

    private Value concat(Expression.Concat concat, Scope scope) {
        Text text = Text.EMPTY;
        for (Expression part : concat.parts()) {
            Value value = evaluate(part, scope);
            render.at(concat.line());
            text = text.plus(PythonPrint.str(render, value));
        }
        return Value.of(text);
    }

    private Value compare(Expression.Compare compare, Scope scope) {
        Value left = evaluate(compare.first(), scope);
        for (Expression.Comparison step : compare.steps()) {
            Value right = evaluate(step.right(), scope);
            render.at(compare.line());
            if (!Operators.compare(render, step.operator(), left, right)) {
                return Value.FALSE;
            }
            left = right;
        }
        return Value.TRUE;
    }

    private Value conditional(Expression.Conditional conditional, Scope scope) {
        if (Values.truth(evaluate(conditional.test(), scope))) {
            return evaluate(conditional.then(), scope);
        }
        if (conditional.otherwise() == null) {
            return new Value.Undefined("the inline if has no else, and its test does not hold");
        }
        return evaluate(conditional.otherwise(), scope);
    }

    private Value slice(Expression.Slice slice, Scope scope) {
        Value target = evaluate(slice.target(), scope);
        Value start = evaluateOrNone(slice.start(), scope);
        Value stop = evaluateOrNone(slice.stop(), scope);
        Value step = evaluateOrNone(slice.step(), scope);
        render.at(slice.line());
        return Slices.slice(render, target, start, stop, step);
    }

    private Value evaluateOrNone(Expression expression, Scope scope) {
        return expression == null ? Value.NONE : evaluate(expression, scope);
    }

    /// @param extra named arguments on top of the written ones (`caller`)
    Value call(Expression.Call call, Scope scope, Map<String, Value> extra) {
        Value callee = evaluate(call.target(), scope);
        Arguments arguments = arguments(call.arguments(), scope, extra);
        render.at(call.line());
        return switch (callee) {
            case Value.Function function -> function.body().call(render, arguments);
            case LoopState loop -> loop.call(render, arguments);
            case Value.Undefined undefined -> throw new RenderException(undefined.reason());
            case Value.None _, Value.Bool _, Value.Int _, Value.Real _, Value.Str _, Value.Seq _, Value.Range _, Dict _,
                    Value.View _, Value.Stream _, Namespace _ ->
                throw new RenderException("'" + callee.typeName() + "' object is not callable");
        };
    }

    Value filter(FilterStep step, Value input, Scope scope) {
        Arguments arguments = arguments(step.arguments(), scope, Map.of());
        render.at(step.line());
        return Filters.apply(render, step.name(), input, arguments);
    }

    private Arguments arguments(CallArguments written, Scope scope, Map<String, Value> extra) {
        if (written == CallArguments.NONE && extra.isEmpty()) {
            return Arguments.NONE;
        }
        List<Value> positional = all(written.positional(), scope);
        Map<String, Value> named = new LinkedHashMap<>(extra);
        for (Expression.Named argument : written.named()) {
            putNamed(named, argument.name(), evaluate(argument.value(), scope));
        }
        if (written.rest() != null) {
            positional.addAll(Values.elements(render, evaluate(written.rest(), scope)));
        }
        if (written.namedRest() != null) {
            if (!(evaluate(written.namedRest(), scope) instanceof Dict dict)) {
                throw new RenderException("the argument after ** must be a dict");
            }
            render.budget().steps(dict.size());
            dict.entries().forEach(entry -> putNamed(named, Values.text(entry.key(), "a named argument").string(), entry.value()));
        }
        return new Arguments(positional, named);
    }

    private static void putNamed(Map<String, Value> named, String name, Value value) {
        if (named.put(name, value) != null) {
            throw new RenderException("two values for the argument '" + name + "'");
        }
    }
}
