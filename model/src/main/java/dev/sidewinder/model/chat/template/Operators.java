package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Expression.BinaryOperator;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;

/// `+ - * / // % **` on values.
final class Operators {
    private Operators() {}

    static Value apply(Render render, BinaryOperator operator, Value a, Value b) {
        Comparisons.failUndefined(a);
        if (operator == BinaryOperator.REMAINDER && a instanceof Value.Str template) {
            return new Value.Str(PercentFormat.format(render, template.text(), b), template.markup());
        }
        Comparisons.failUndefined(b);
        if (Numbers.isNumber(a) && Numbers.isNumber(b)) {
            return switch (operator) {
                case ADD -> Numbers.add(a, b);
                case SUBTRACT -> Numbers.subtract(a, b);
                case MULTIPLY -> Numbers.multiply(a, b);
                case DIVIDE -> Numbers.divide(a, b);
                case FLOOR_DIVIDE -> Numbers.floorDivide(a, b);
                case REMAINDER -> Numbers.remainder(a, b);
                case POWER -> Numbers.power(a, b);
            };
        }
        Value result = switch (operator) {
            case ADD -> add(render, a, b);
            case MULTIPLY -> multiply(render, a, b);
            case SUBTRACT, DIVIDE, FLOOR_DIVIDE, REMAINDER, POWER -> null;
        };
        if (result == null) {
            throw new RenderException("the operator does not work on '" + a.typeName() + "' and '" + b.typeName() + "'");
        }
        return result;
    }

    /// null when these cannot be added.
    private static Value add(Render render, Value a, Value b) {
        if (a instanceof Value.Str x && b instanceof Value.Str y) {
            if (x.markup() == y.markup()) {
                return new Value.Str(x.text().plus(y.text()), x.markup());
            }
            return new Value.Str(Html.escape(render, x).text().plus(Html.escape(render, y).text()), true);
        }
        if (a instanceof Value.Seq x && b instanceof Value.Seq y && x.tuple() == y.tuple()) {
            render.budget().steps((long) x.items().size() + y.items().size());
            List<Value> items = new ArrayList<>(x.items());
            items.addAll(y.items());
            return new Value.Seq(items, x.tuple());
        }
        return null;
    }

    /// null when these cannot be multiplied.
    private static Value multiply(Render render, Value a, Value b) {
        BigInteger timesRight = Values.integer(b);
        if (timesRight != null) {
            return repeat(render, a, timesRight);
        }
        BigInteger timesLeft = Values.integer(a);
        return timesLeft == null ? null : repeat(render, b, timesLeft);
    }

    private static Value repeat(Render render, Value value, BigInteger count) {
        long times = count.signum() <= 0 ? 0 : count.bitLength() < 32 ? count.intValue() : Integer.MAX_VALUE;
        return switch (value) {
            case Value.Str text -> new Value.Str(repeat(render, text.text(), times), text.markup());
            case Value.Seq sequence -> {
                render.budget().steps(times * sequence.items().size());
                List<Value> items = new ArrayList<>();
                for (long i = 0; i < times && !sequence.items().isEmpty(); i++) {
                    items.addAll(sequence.items());
                }
                yield new Value.Seq(items, sequence.tuple());
            }
            default -> null;
        };
    }

    private static Text repeat(Render render, Text text, long times) {
        if (text.isEmpty() || times == 0) {
            return Text.EMPTY;
        }
        Budget.checkTextLength(times * text.length());
        render.budget().work(times * text.length());
        if (text.switches().length == 0) {
            return new Text(text.string().repeat((int) times), text.startsInTemplate(), text.switches());
        }
        TextBuilder repeated = new TextBuilder((int) times * text.length());
        for (long i = 0; i < times; i++) {
            repeated.append(text);
        }
        return repeated.text();
    }

    static Value unary(Expression.UnaryOperator operator, Value operand) {
        if (operator == Expression.UnaryOperator.NOT) {
            return Value.of(!Values.truth(operand));
        }
        Comparisons.failUndefined(operand);
        if (!Numbers.isNumber(operand)) {
            throw new RenderException("a sign does not work on '" + operand.typeName() + "'");
        }
        boolean minus = operator == Expression.UnaryOperator.MINUS;
        return minus ? Numbers.negate(operand) : operand instanceof Value.Bool ? new Value.Int(Values.integer(operand)) : operand;
    }

    static boolean compare(Render render, Expression.CompareOperator operator, Value a, Value b) {
        return switch (operator) {
            case EQUAL -> Comparisons.equal(render, a, b);
            case NOT_EQUAL -> !Comparisons.equal(render, a, b);
            case LESS -> Comparisons.less(render, a, b, "<");
            case LESS_OR_EQUAL -> Comparisons.lessOrEqual(render, a, b, "<=");
            case GREATER -> Comparisons.less(render, b, a, ">");
            case GREATER_OR_EQUAL -> Comparisons.lessOrEqual(render, b, a, ">=");
            case IN -> Comparisons.contains(render, b, a);
            case NOT_IN -> !Comparisons.contains(render, b, a);
        };
    }
}
