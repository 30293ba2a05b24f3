package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Expression.CallArguments;
import dev.sidewinder.model.chat.template.Expression.FilterStep;
import dev.sidewinder.model.chat.template.Expression.Named;
import dev.sidewinder.model.chat.template.Token.Kind;
import java.util.ArrayList;
import java.util.List;

/// Parses what follows a value: subscripts, calls, filters and tests.
final class PostfixParser {
    private final TokenStream tokens;
    private final ExpressionParser expressions;

    PostfixParser(TokenStream tokens, ExpressionParser expressions) {
        this.tokens = tokens;
        this.expressions = expressions;
    }

    /// `.name`, `.0`, `[…]` and `(…)`.
    Expression subscripts(Expression target) {
        Expression parsed = target;
        while (true) {
            Token token = tokens.peek();
            if (token.isOperator(".")) {
                parsed = attribute(parsed);
            } else if (token.isOperator("[")) {
                parsed = index(parsed);
            } else if (token.isOperator("(")) {
                parsed = call(parsed);
            } else {
                return parsed;
            }
        }
    }

    /// `| filter`, `is test`, and calls of their results.
    Expression filtersAndTests(Expression target) {
        Expression parsed = target;
        while (true) {
            Token token = tokens.peek();
            if (token.isOperator("|")) {
                tokens.take();
                FilterStep step = filterStep();
                parsed = new Expression.Filtered(parsed, step, step.line());
            } else if (token.isName("is")) {
                parsed = test(parsed);
            } else if (token.isOperator("(")) {
                parsed = call(parsed);
            } else {
                return parsed;
            }
        }
    }

    /// The name and arguments of a filter, the `|` already taken.
    FilterStep filterStep() {
        tokens.operation();
        int line = tokens.line();
        String name = dottedName("the name of a filter");
        if (!Filters.knows(name)) {
            throw new SyntaxError(line, "there is no filter '" + name + "'");
        }
        return new FilterStep(name, tokens.peek().isOperator("(") ? arguments() : CallArguments.NONE, line);
    }

    Expression.Call call(Expression target) {
        tokens.operation();
        int line = tokens.line();
        return new Expression.Call(target, arguments(), line);
    }

    private Expression attribute(Expression target) {
        tokens.operation();
        int line = tokens.take().line();
        Token name = tokens.take();
        if (name.is(Kind.INTEGER)) {
            return new Expression.Index(target, new Expression.Literal(expressions.integer(name), line), line);
        }
        if (!name.is(Kind.NAME)) {
            throw new SyntaxError(name.line(), "found " + name.described() + ", expected a name after '.'");
        }
        return new Expression.Attribute(target, name.text(), line);
    }

    private Expression index(Expression target) {
        tokens.operation();
        int line = tokens.take().line();
        Expression start = tokens.peek().isOperator(":") ? null : expressions.tuple(ExpressionParser.Form.FULL);
        if (start != null && tokens.takeOperator("]")) {
            return new Expression.Index(target, start, line);
        }
        tokens.expectOperator(":");
        Expression stop = slicePart();
        Expression step = tokens.takeOperator(":") ? slicePart() : null;
        tokens.expectOperator("]");
        return new Expression.Slice(target, start, stop, step, line);
    }

    private Expression slicePart() {
        boolean absent = tokens.peek().isOperator(":") || tokens.peek().isOperator("]");
        return absent ? null : expressions.expression();
    }

    private Expression test(Expression target) {
        tokens.operation();
        int line = tokens.take().line();
        boolean negated = tokens.takeName("not");
        String name = dottedName("the name of a test");
        if (!Tests.knows(name)) {
            throw new SyntaxError(line, "there is no test '" + name + "'");
        }
        Expression tested = new Expression.Tested(target, name, testArguments(), line);
        return negated ? new Expression.Unary(Expression.UnaryOperator.NOT, tested, line) : tested;
    }

    /// `is divisibleby(3)` and `is divisibleby 3` are the same.
    private CallArguments testArguments() {
        Token token = tokens.peek();
        if (token.isOperator("(")) {
            return arguments();
        }
        boolean begins = token.is(Kind.STRING) || token.is(Kind.INTEGER) || token.is(Kind.FLOAT)
                || token.isOperator("[") || token.isOperator("{")
                || token.is(Kind.NAME) && !token.isName("else") && !token.isName("or") && !token.isName("and");
        if (!begins) {
            return CallArguments.NONE;
        }
        if (token.isName("is")) {
            throw new SyntaxError(token.line(), "tests with 'is' cannot follow each other");
        }
        Expression argument = subscripts(expressions.primary());
        return new CallArguments(List.of(argument), List.of(), null, null);
    }

    private CallArguments arguments() {
        tokens.expectOperator("(");
        List<Expression> positional = new ArrayList<>();
        List<Named> named = new ArrayList<>();
        Expression rest = null;
        Expression namedRest = null;
        while (!tokens.peek().isOperator(")")) {
            int line = tokens.line();
            boolean allowed;
            if (tokens.takeOperator("*")) {
                allowed = rest == null && namedRest == null;
                rest = expressions.expression();
            } else if (tokens.takeOperator("**")) {
                allowed = namedRest == null;
                namedRest = expressions.expression();
            } else if (tokens.peek().is(Kind.NAME) && tokens.peekAfter().isOperator("=")) {
                allowed = namedRest == null;
                String name = tokens.take().text();
                tokens.take();
                named.add(new Named(name, expressions.expression()));
            } else {
                allowed = rest == null && namedRest == null && named.isEmpty();
                positional.add(expressions.expression());
            }
            if (!allowed) {
                throw new SyntaxError(line, "arguments of a call in an order that is not allowed");
            }
            if (!tokens.takeOperator(",")) {
                break;
            }
        }
        tokens.expectOperator(")");
        return new CallArguments(positional, named, rest, namedRest);
    }

    private String dottedName(String expected) {
        StringBuilder name = new StringBuilder(tokens.expect(Kind.NAME, expected).text());
        while (tokens.peek().isOperator(".")) {
            tokens.take();
            name.append('.').append(tokens.expect(Kind.NAME, expected).text());
        }
        return name.toString();
    }
}
