package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Expression.BinaryOperator;
import dev.sidewinder.model.chat.template.Expression.CompareOperator;
import dev.sidewinder.model.chat.template.Expression.Comparison;
import dev.sidewinder.model.chat.template.Expression.Literal;
import dev.sidewinder.model.chat.template.Expression.Pair;
import dev.sidewinder.model.chat.template.Token.Kind;
import java.util.ArrayList;
import java.util.List;

/// Parses expressions with the binding powers of Jinja (where `~` binds tighter than `+`, and `-x|f` is `(-x)|f`).
final class ExpressionParser {
    /// What may stand between `(…)`, `{{ … }}` or after `=`.
    enum Form {
        FULL,
        /// no `a if b`: the `if` after it belongs to a `for`
        WITHOUT_CONDITIONAL
    }

    private final TokenStream tokens;
    private final PostfixParser postfix;

    ExpressionParser(TokenStream tokens) {
        this.tokens = tokens;
        this.postfix = new PostfixParser(tokens, this);
    }

    Expression expression() {
        return expression(Form.FULL);
    }

    Expression expression(Form form) {
        tokens.enter();
        Expression parsed = form == Form.FULL ? conditional() : or();
        tokens.leave();
        return parsed;
    }

    /// Expressions with commas between them make a tuple; one without a comma is itself.
    Expression tuple(Form form) {
        int line = tokens.line();
        Expression first = expression(form);
        if (!tokens.peek().isOperator(",")) {
            return first;
        }
        List<Expression> items = new ArrayList<>(List.of(first));
        while (tokens.takeOperator(",") && !tupleEnds()) {
            items.add(expression(form));
        }
        return new Expression.ListOf(items, true, line);
    }

    PostfixParser postfix() {
        return postfix;
    }

    private boolean tupleEnds() {
        Token token = tokens.peek();
        return token.is(Kind.PRINT_END) || token.is(Kind.BLOCK_END) || token.isOperator(")") || token.isName("recursive");
    }

    private Expression conditional() {
        Expression parsed = or();
        while (tokens.peek().isName("if")) {
            int line = tokens.take().line();
            tokens.operation();
            Expression test = or();
            Expression otherwise = tokens.takeName("else") ? expression() : null;
            parsed = new Expression.Conditional(test, parsed, otherwise, line);
        }
        return parsed;
    }

    private Expression or() {
        Expression left = and();
        while (tokens.peek().isName("or")) {
            int line = tokens.take().line();
            tokens.operation();
            left = new Expression.Logical(false, left, and(), line);
        }
        return left;
    }

    private Expression and() {
        Expression left = not();
        while (tokens.peek().isName("and")) {
            int line = tokens.take().line();
            tokens.operation();
            left = new Expression.Logical(true, left, not(), line);
        }
        return left;
    }

    private Expression not() {
        if (!tokens.peek().isName("not")) {
            return compare();
        }
        int line = tokens.take().line();
        tokens.enter();
        Expression operand = not();
        tokens.leave();
        return new Expression.Unary(Expression.UnaryOperator.NOT, operand, line);
    }

    private Expression compare() {
        int line = tokens.line();
        Expression first = sum();
        List<Comparison> steps = new ArrayList<>();
        while (true) {
            CompareOperator operator = compareOperator();
            if (operator == null) {
                return steps.isEmpty() ? first : new Expression.Compare(first, steps, line);
            }
            tokens.operation();
            steps.add(new Comparison(operator, sum()));
        }
    }

    /// Takes the operator that comes next; null when it is none of these.
    private CompareOperator compareOperator() {
        Token token = tokens.peek();
        if (token.isName("not") && tokens.peekAfter().isName("in")) {
            tokens.take();
            tokens.take();
            return CompareOperator.NOT_IN;
        }
        if (token.isName("in")) {
            tokens.take();
            return CompareOperator.IN;
        }
        if (!token.is(Kind.OPERATOR)) {
            return null;
        }
        CompareOperator operator = switch (token.text()) {
            case "==" -> CompareOperator.EQUAL;
            case "!=" -> CompareOperator.NOT_EQUAL;
            case "<" -> CompareOperator.LESS;
            case "<=" -> CompareOperator.LESS_OR_EQUAL;
            case ">" -> CompareOperator.GREATER;
            case ">=" -> CompareOperator.GREATER_OR_EQUAL;
            default -> null;
        };
        if (operator != null) {
            tokens.take();
        }
        return operator;
    }

    private Expression sum() {
        Expression left = concat();
        while (tokens.peek().isOperator("+") || tokens.peek().isOperator("-")) {
            Token token = tokens.take();
            tokens.operation();
            BinaryOperator operator = token.isOperator("+") ? BinaryOperator.ADD : BinaryOperator.SUBTRACT;
            left = new Expression.Binary(operator, left, concat(), token.line());
        }
        return left;
    }

    private Expression concat() {
        int line = tokens.line();
        Expression first = product();
        if (!tokens.peek().isOperator("~")) {
            return first;
        }
        List<Expression> parts = new ArrayList<>(List.of(first));
        while (tokens.takeOperator("~")) {
            parts.add(product());
        }
        return new Expression.Concat(parts, line);
    }

    private Expression product() {
        Expression left = power();
        while (true) {
            BinaryOperator operator = switch (tokens.peek().is(Kind.OPERATOR) ? tokens.peek().text() : "") {
                case "*" -> BinaryOperator.MULTIPLY;
                case "/" -> BinaryOperator.DIVIDE;
                case "//" -> BinaryOperator.FLOOR_DIVIDE;
                case "%" -> BinaryOperator.REMAINDER;
                default -> null;
            };
            if (operator == null) {
                return left;
            }
            int line = tokens.take().line();
            tokens.operation();
            left = new Expression.Binary(operator, left, power(), line);
        }
    }

    private Expression power() {
        Expression left = unary(true);
        while (tokens.peek().isOperator("**")) {
            int line = tokens.take().line();
            tokens.operation();
            left = new Expression.Binary(BinaryOperator.POWER, left, unary(true), line);
        }
        return left;
    }

    private Expression unary(boolean withFilters) {
        Token token = tokens.peek();
        Expression parsed;
        if (token.isOperator("-") || token.isOperator("+")) {
            tokens.take();
            tokens.enter();
            Expression operand = unary(false);
            tokens.leave();
            var operator = token.isOperator("-") ? Expression.UnaryOperator.MINUS : Expression.UnaryOperator.PLUS;
            parsed = new Expression.Unary(operator, operand, token.line());
        } else {
            parsed = primary();
        }
        parsed = postfix.subscripts(parsed);
        return withFilters ? postfix.filtersAndTests(parsed) : parsed;
    }

    Expression primary() {
        Token token = tokens.peek();
        switch (token.kind()) {
            case NAME -> {
                tokens.take();
                return name(token);
            }
            case STRING -> {
                StringBuilder joined = new StringBuilder();
                while (tokens.peek().is(Kind.STRING)) {
                    joined.append(tokens.take().text());
                }
                return new Literal(Value.of(Text.ofTemplate(joined.toString())), token.line());
            }
            case INTEGER -> {
                tokens.take();
                return new Literal(integer(token), token.line());
            }
            case FLOAT -> {
                tokens.take();
                return new Literal(new Value.Real(NumberLiteral.real(token.text())), token.line());
            }
            case OPERATOR -> {
                return switch (token.text()) {
                    case "(" -> parenthesised();
                    case "[" -> list();
                    case "{" -> dict();
                    default -> throw tokens.unexpected("an expression");
                };
            }
            case DATA, PRINT_BEGIN, PRINT_END, BLOCK_BEGIN, BLOCK_END, END -> throw tokens.unexpected("an expression");
        }
        throw new IllegalStateException("token " + token);
    }

    Value.Int integer(Token token) {
        if (token.text().length() > Budget.MAX_INTEGER_BITS / 4) {
            throw new SyntaxError(token.line(), "an integer of " + token.text().length() + " digits");
        }
        return new Value.Int(NumberLiteral.integer(token.text()));
    }

    private static Expression name(Token token) {
        return switch (token.text()) {
            case "true", "True" -> new Literal(Value.TRUE, token.line());
            case "false", "False" -> new Literal(Value.FALSE, token.line());
            case "none", "None" -> new Literal(Value.NONE, token.line());
            default -> new Expression.Name(token.text(), token.line());
        };
    }

    private Expression parenthesised() {
        int line = tokens.take().line();
        if (tokens.takeOperator(")")) {
            return new Expression.ListOf(List.of(), true, line);
        }
        Expression inside = tuple(Form.FULL);
        tokens.expectOperator(")");
        return inside;
    }

    private Expression list() {
        int line = tokens.take().line();
        List<Expression> items = new ArrayList<>();
        while (!tokens.peek().isOperator("]")) {
            items.add(expression());
            if (!tokens.takeOperator(",")) {
                break;
            }
        }
        tokens.expectOperator("]");
        return new Expression.ListOf(items, false, line);
    }

    private Expression dict() {
        int line = tokens.take().line();
        List<Pair> pairs = new ArrayList<>();
        while (!tokens.peek().isOperator("}")) {
            Expression key = expression();
            tokens.expectOperator(":");
            pairs.add(new Pair(key, expression()));
            if (!tokens.takeOperator(",")) {
                break;
            }
        }
        tokens.expectOperator("}");
        return new Expression.DictOf(pairs, line);
    }
}
