package dev.sidewinder.model.chat.template;

import java.util.List;

/// An expression of a template. `line` is where its operation stands, for messages.
sealed interface Expression {
    int line();

    record Literal(Value value, int line) implements Expression {}

    record Name(String name, int line) implements Expression {}

    record ListOf(List<Expression> items, boolean tuple, int line) implements Expression {}

    record DictOf(List<Pair> pairs, int line) implements Expression {}

    record Pair(Expression key, Expression value) {}

    record Unary(UnaryOperator operator, Expression operand, int line) implements Expression {}

    enum UnaryOperator {
        NOT, MINUS, PLUS
    }

    record Binary(BinaryOperator operator, Expression left, Expression right, int line) implements Expression {}

    enum BinaryOperator {
        ADD, SUBTRACT, MULTIPLY, DIVIDE, FLOOR_DIVIDE, REMAINDER, POWER
    }

    /// `and` and `or`: the value of the side that decided.
    record Logical(boolean and, Expression left, Expression right, int line) implements Expression {}

    /// `a ~ b ~ c`
    record Concat(List<Expression> parts, int line) implements Expression {}

    /// `a < b <= c`: each value is computed once, and the chain ends at the first step that does not hold.
    record Compare(Expression first, List<Comparison> steps, int line) implements Expression {}

    record Comparison(CompareOperator operator, Expression right) {}

    enum CompareOperator {
        EQUAL, NOT_EQUAL, LESS, LESS_OR_EQUAL, GREATER, GREATER_OR_EQUAL, IN, NOT_IN
    }

    /// `then if test else otherwise`; `otherwise` is null when it is not written.
    record Conditional(Expression test, Expression then, Expression otherwise, int line) implements Expression {}

    /// `target.name`
    record Attribute(Expression target, String name, int line) implements Expression {}

    /// `target[index]`
    record Index(Expression target, Expression index, int line) implements Expression {}

    /// `target[start:stop:step]`; each of the three is null when it is not written.
    record Slice(Expression target, Expression start, Expression stop, Expression step, int line) implements Expression {}

    record Call(Expression target, CallArguments arguments, int line) implements Expression {}

    /// @param rest      the expression after `*`, or null
    /// @param namedRest the expression after `**`, or null
    record CallArguments(List<Expression> positional, List<Named> named, Expression rest, Expression namedRest) {
        static final CallArguments NONE = new CallArguments(List.of(), List.of(), null, null);
    }

    record Named(String name, Expression value) {}

    /// `target | filter(arguments)`
    record Filtered(Expression target, FilterStep filter, int line) implements Expression {}

    record FilterStep(String name, CallArguments arguments, int line) {}

    /// `target is test(arguments)`
    record Tested(Expression target, String test, CallArguments arguments, int line) implements Expression {}
}
