package dev.sidewinder.model.chat.template;

import java.util.Map;
import java.util.function.Predicate;

/// The tests by name: what stands after `is`.
final class Tests {
    private interface Test {
        boolean holds(Render render, Value value, Arguments arguments);
    }

    private static final Map<String, Test> TESTS = Map.ofEntries(
            Map.entry("defined", of(value -> !(value instanceof Value.Undefined))),
            Map.entry("undefined", of(Value.Undefined.class::isInstance)),
            Map.entry("none", of(Value.None.class::isInstance)),
            Map.entry("boolean", of(Value.Bool.class::isInstance)),
            Map.entry("true", of(value -> value instanceof Value.Bool bool && bool.value())),
            Map.entry("false", of(value -> value instanceof Value.Bool bool && !bool.value())),
            Map.entry("integer", of(Value.Int.class::isInstance)),
            Map.entry("float", of(Value.Real.class::isInstance)),
            Map.entry("number", of(Numbers::isNumber)),
            Map.entry("string", of(Value.Str.class::isInstance)),
            Map.entry("mapping", of(Dict.class::isInstance)),
            Map.entry("iterable", of(Values::iterable)),
            Map.entry("sequence", of(Tests::sequence)),
            Map.entry("callable", of(Tests::callable)),
            Map.entry("escaped", of(value -> value instanceof Value.Str text && text.markup())),
            Map.entry("lower", (render, value, _) -> StringMethods.isCase(render.read(PythonPrint.str(render, value)), true)),
            Map.entry("upper", (render, value, _) -> StringMethods.isCase(render.read(PythonPrint.str(render, value)), false)),
            Map.entry("odd", (render, value, _) -> remainderIs(render, value, Value.of(2), 1)),
            Map.entry("even", (render, value, _) -> remainderIs(render, value, Value.of(2), 0)),
            Map.entry("divisibleby", (render, value, arguments) -> remainderIs(render, value, only("divisibleby", arguments), 0)),
            Map.entry("in", (render, value, arguments) -> Comparisons.contains(render, only("in", arguments), value)),
            Map.entry("sameas", (_, value, arguments) -> same(value, only("sameas", arguments))),
            Map.entry("filter", of(value -> value instanceof Value.Str name && Filters.knows(name.text().string()))),
            Map.entry("test", of(value -> value instanceof Value.Str name && knows(name.text().string()))),
            Map.entry("==", Tests::equal), Map.entry("eq", Tests::equal), Map.entry("equalto", Tests::equal),
            Map.entry("!=", Tests::notEqual), Map.entry("ne", Tests::notEqual),
            Map.entry("<", Tests::less), Map.entry("lt", Tests::less), Map.entry("lessthan", Tests::less),
            Map.entry(">", Tests::greater), Map.entry("gt", Tests::greater), Map.entry("greaterthan", Tests::greater),
            Map.entry("<=", Tests::lessOrEqual), Map.entry("le", Tests::lessOrEqual),
            Map.entry(">=", Tests::greaterOrEqual), Map.entry("ge", Tests::greaterOrEqual));

    private Tests() {}

    static boolean knows(String name) {
        return TESTS.containsKey(name);
    }

    static boolean test(Render render, String name, Value value, Arguments arguments) {
        Test test = TESTS.get(name);
        if (test == null) {
            throw new RenderException("there is no test '" + name + "'");
        }
        return test.holds(render, value, arguments);
    }

    private static Test of(Predicate<Value> predicate) {
        return (_, value, arguments) -> {
            arguments.bind("the test");
            return predicate.test(value);
        };
    }

    private static Value only(String test, Arguments arguments) {
        return arguments.bindRequired(test, 1, "other")[0];
    }

    private static boolean sequence(Value value) {
        return switch (value) {
            case Value.Str _, Value.Seq _, Value.Range _, Dict _, Value.Undefined _ -> true;
            case Value.None _, Value.Bool _, Value.Int _, Value.Real _, Value.View _, Value.Stream _, Value.Function _,
                    Namespace _, LoopState _ -> false;
        };
    }

    private static boolean callable(Value value) {
        return value instanceof Value.Function || value instanceof LoopState || value instanceof Value.Undefined;
    }

    private static boolean remainderIs(Render render, Value value, Value divisor, int wanted) {
        Value remainder = Operators.apply(render, Expression.BinaryOperator.REMAINDER, value, divisor);
        return Comparisons.equal(render, remainder, Value.of(wanted));
    }

    /// Python's `is`: the same object, which small values are whenever they are equal.
    private static boolean same(Value value, Value other) {
        return switch (value) {
            case Value.None _ -> other instanceof Value.None;
            case Value.Bool bool -> other instanceof Value.Bool otherBool && bool.value() == otherBool.value();
            case Value.Int number -> other instanceof Value.Int otherNumber && number.value().equals(otherNumber.value());
            case Value.Str text -> other instanceof Value.Str otherText && text.text().equals(otherText.text());
            case Value.Undefined _, Value.Real _, Value.Seq _, Value.Range _, Dict _, Value.View _, Value.Stream _,
                    Value.Function _, Namespace _, LoopState _ -> value == other;
        };
    }

    private static boolean equal(Render render, Value value, Arguments arguments) {
        return Comparisons.equal(render, value, only("eq", arguments));
    }

    private static boolean notEqual(Render render, Value value, Arguments arguments) {
        return !Comparisons.equal(render, value, only("ne", arguments));
    }

    private static boolean less(Render render, Value value, Arguments arguments) {
        return Comparisons.less(render, value, only("lt", arguments), "<");
    }

    private static boolean greater(Render render, Value value, Arguments arguments) {
        return Comparisons.less(render, only("gt", arguments), value, ">");
    }

    private static boolean lessOrEqual(Render render, Value value, Arguments arguments) {
        return Comparisons.lessOrEqual(render, value, only("le", arguments), "<=");
    }

    private static boolean greaterOrEqual(Render render, Value value, Arguments arguments) {
        return Comparisons.lessOrEqual(render, only("ge", arguments), value, ">=");
    }
}
