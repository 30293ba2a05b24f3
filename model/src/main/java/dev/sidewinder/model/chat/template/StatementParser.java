package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Expression.FilterStep;
import dev.sidewinder.model.chat.template.ExpressionParser.Form;
import dev.sidewinder.model.chat.template.Statement.Binding;
import dev.sidewinder.model.chat.template.Statement.Branch;
import dev.sidewinder.model.chat.template.Statement.MacroBody;
import dev.sidewinder.model.chat.template.Statement.Parameter;
import dev.sidewinder.model.chat.template.Statement.Target;
import dev.sidewinder.model.chat.template.Token.Kind;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// Parses a template into statements.
final class StatementParser {
    private final TokenStream tokens;
    private final ExpressionParser expressions;

    /// loops around the statement, inside the innermost macro or captured block
    private int loops;

    private StatementParser(List<Token> tokens) {
        this.tokens = new TokenStream(tokens);
        this.expressions = new ExpressionParser(this.tokens);
    }

    /// @throws SyntaxError with the line
    static List<Statement> parse(String source) {
        return new StatementParser(Lexer.tokens(source)).body(null, 0);
    }

    /// Parses up to one of the names in `ends`, which is left to be taken; up to the end of the template when null.
    private List<Statement> body(String opener, int openerLine, String... ends) {
        tokens.enter();
        List<Statement> statements = new ArrayList<>();
        while (true) {
            Token token = tokens.peek();
            tokens.beginExpression();
            switch (token.kind()) {
                case DATA -> statements.add(new Statement.Data(Value.of(Text.ofTemplate(tokens.take().text())), token.line()));
                case PRINT_BEGIN -> {
                    tokens.take();
                    statements.add(new Statement.Print(expressions.tuple(Form.FULL), token.line()));
                    tokens.expect(Kind.PRINT_END, "'}}'");
                }
                case BLOCK_BEGIN -> {
                    tokens.take();
                    if (tokens.peek().is(Kind.NAME) && List.of(ends).contains(tokens.peek().text())) {
                        tokens.leave();
                        return statements;
                    }
                    statements.add(statement());
                    tokens.expect(Kind.BLOCK_END, "'%}'");
                }
                case END -> {
                    if (opener != null) {
                        throw new SyntaxError(openerLine, "'" + opener + "' is not closed; expected '" + ends[ends.length - 1] + "'");
                    }
                    tokens.leave();
                    return statements;
                }
                case PRINT_END, BLOCK_END, NAME, STRING, INTEGER, FLOAT, OPERATOR ->
                    throw new IllegalStateException("token outside of a tag: " + token);
            }
        }
    }

    private Statement statement() {
        Token tag = tokens.expect(Kind.NAME, "the name of a block");
        int line = tag.line();
        return switch (tag.text()) {
            case "if" -> ifBlock(line);
            case "for" -> forBlock(line);
            case "set" -> set(line);
            case "macro" -> macro(line);
            case "call" -> call(line);
            case "filter" -> filter(line);
            case "with" -> with(line);
            case "generation" -> new Statement.Generation(captured("generation", line), line);
            case "break" -> {
                checkInLoop("break", line);
                yield new Statement.Break(line);
            }
            case "continue" -> {
                checkInLoop("continue", line);
                yield new Statement.Continue(line);
            }
            default -> throw new SyntaxError(line, "there is no block '" + tag.text() + "' here");
        };
    }

    private void checkInLoop(String word, int line) {
        if (loops == 0) {
            throw new SyntaxError(line, "'" + word + "' outside of a loop");
        }
    }

    private Statement ifBlock(int line) {
        List<Branch> branches = new ArrayList<>();
        List<Statement> otherwise = List.of();
        boolean more = true;
        while (more) {
            tokens.beginExpression();
            Expression test = expressions.tuple(Form.WITHOUT_CONDITIONAL);
            tokens.expect(Kind.BLOCK_END, "'%}'");
            branches.add(new Branch(test, body("if", line, "elif", "else", "endif")));
            Token end = tokens.take();
            more = end.isName("elif");
            if (end.isName("else")) {
                tokens.expect(Kind.BLOCK_END, "'%}'");
                otherwise = body("if", line, "endif");
                tokens.take();
            }
        }
        return new Statement.If(branches, otherwise, line);
    }

    private Statement forBlock(int line) {
        Target target = target();
        if (!tokens.takeName("in")) {
            throw tokens.unexpected("'in'");
        }
        Expression elements = expressions.tuple(Form.WITHOUT_CONDITIONAL);
        Expression filter = tokens.takeName("if") ? expressions.expression() : null;
        boolean recursive = tokens.takeName("recursive");
        tokens.expect(Kind.BLOCK_END, "'%}'");
        loops++;
        List<Statement> body = body("for", line, "else", "endfor");
        loops--;
        List<Statement> otherwise = List.of();
        if (tokens.take().isName("else")) {
            tokens.expect(Kind.BLOCK_END, "'%}'");
            otherwise = body("for", line, "endfor");
            tokens.take();
        }
        checkAssignable(target, line);
        return new Statement.For(target, elements, filter, recursive, body, otherwise, line);
    }

    /// `loop` belongs to the loop, and only `set` writes to a namespace.
    private static void checkAssignable(Target target, int line) {
        switch (target) {
            case Target.Variable variable -> {
                if (variable.name().equals("loop")) {
                    throw new SyntaxError(line, "a loop cannot assign to 'loop'");
                }
            }
            case Target.Attribute attribute ->
                throw new SyntaxError(line, "cannot assign to '" + attribute.namespace() + "." + attribute.name() + "' here");
            case Target.Tuple tuple -> tuple.parts().forEach(part -> checkAssignable(part, line));
        }
    }

    private Statement set(int line) {
        Target target = target();
        if (tokens.takeOperator("=")) {
            return new Statement.Assign(target, expressions.tuple(Form.FULL), line);
        }
        List<FilterStep> filters = filterSteps();
        return new Statement.AssignBlock(target, filters, captured("set", line), line);
    }

    private Statement filter(int line) {
        List<FilterStep> filters = new ArrayList<>(List.of(expressions.postfix().filterStep()));
        filters.addAll(filterSteps());
        return new Statement.FilterBlock(filters, captured("filter", line), line);
    }

    private List<FilterStep> filterSteps() {
        List<FilterStep> steps = new ArrayList<>();
        while (tokens.takeOperator("|")) {
            steps.add(expressions.postfix().filterStep());
        }
        return steps;
    }

    private Statement macro(int line) {
        String name = tokens.expect(Kind.NAME, "the name of the macro").text();
        List<Parameter> parameters = parameters();
        return new Statement.MacroDefinition(name, macroBody(parameters, captured("macro", line)), line);
    }

    private Statement call(int line) {
        List<Parameter> parameters = tokens.peek().isOperator("(") ? parameters() : List.of();
        if (!(expressions.expression() instanceof Expression.Call called)) {
            throw new SyntaxError(line, "'call' needs the call of a macro");
        }
        return new Statement.CallBlock(called, macroBody(parameters, captured("call", line)), line);
    }

    private static MacroBody macroBody(List<Parameter> parameters, List<Statement> body) {
        Set<String> reads = VariableReads.of(parameters, body);
        return new MacroBody(parameters, body, reads.contains("caller"), reads.contains("varargs"), reads.contains("kwargs"));
    }

    private List<Parameter> parameters() {
        tokens.expectOperator("(");
        List<Parameter> parameters = new ArrayList<>();
        Set<String> names = new HashSet<>();
        while (!tokens.peek().isOperator(")")) {
            Token name = tokens.expect(Kind.NAME, "the name of a parameter");
            if (!names.add(name.text())) {
                throw new SyntaxError(name.line(), "two parameters are called '" + name.text() + "'");
            }
            Expression defaultValue = tokens.takeOperator("=") ? expressions.expression() : null;
            if (defaultValue == null && !parameters.isEmpty() && parameters.getLast().defaultValue() != null) {
                throw new SyntaxError(name.line(), "a parameter without default follows one with a default");
            }
            parameters.add(new Parameter(name.text(), defaultValue));
            if (!tokens.takeOperator(",")) {
                break;
            }
        }
        tokens.expectOperator(")");
        return parameters;
    }

    private Statement with(int line) {
        List<Binding> bindings = new ArrayList<>();
        while (!tokens.peek().is(Kind.BLOCK_END)) {
            Target target = target();
            checkAssignable(target, line);
            tokens.expectOperator("=");
            bindings.add(new Binding(target, expressions.expression()));
            if (!tokens.takeOperator(",")) {
                break;
            }
        }
        tokens.expect(Kind.BLOCK_END, "'%}'");
        List<Statement> body = body("with", line, "endwith");
        tokens.take();
        return new Statement.With(bindings, body, line);
    }

    /// The body of a block whose output goes elsewhere, so that no `break` crosses its border.
    private List<Statement> captured(String opener, int line) {
        tokens.expect(Kind.BLOCK_END, "'%}'");
        int outerLoops = loops;
        loops = 0;
        List<Statement> body = body(opener, line, "end" + opener);
        loops = outerLoops;
        tokens.take();
        return body;
    }

    private Target target() {
        Target first = targetPart();
        if (!tokens.peek().isOperator(",")) {
            return first;
        }
        List<Target> parts = new ArrayList<>(List.of(first));
        while (tokens.takeOperator(",") && !tokens.peek().isName("in") && !tokens.peek().isOperator("=")) {
            parts.add(targetPart());
        }
        return new Target.Tuple(parts);
    }

    private Target targetPart() {
        if (tokens.takeOperator("(")) {
            tokens.enter();
            Target inside = target();
            tokens.leave();
            tokens.expectOperator(")");
            return inside;
        }
        Token name = tokens.expect(Kind.NAME, "a name to assign to");
        if (List.of("true", "false", "none", "True", "False", "None").contains(name.text())) {
            throw new SyntaxError(name.line(), "cannot assign to '" + name.text() + "'");
        }
        if (tokens.takeOperator(".")) {
            return new Target.Attribute(name.text(), tokens.expect(Kind.NAME, "the name of an attribute").text());
        }
        return new Target.Variable(name.text());
    }
}
