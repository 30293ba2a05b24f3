package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Token.Kind;
import java.util.List;

/// The tokens under a parser's hand, and how deep it is nested.
final class TokenStream {
    /// Blocks, brackets and operators inside each other. The trees are walked by recursion, so this bounds the stack.
    static final int MAX_NESTING = 64;

    /// Subscripts, calls, filters and operators of one expression: they may stand in a row, which makes a deep tree too.
    static final int MAX_OPERATIONS = 256;

    private final List<Token> tokens;
    private int next;
    private int nesting;
    private int operations;

    TokenStream(List<Token> tokens) {
        this.tokens = tokens;
    }

    Token peek() {
        return tokens.get(next);
    }

    Token peekAfter() {
        return tokens.get(Math.min(next + 1, tokens.size() - 1));
    }

    /// Moves on, except at the end.
    Token take() {
        Token token = peek();
        if (!token.is(Kind.END)) {
            next++;
        }
        return token;
    }

    int line() {
        return peek().line();
    }

    boolean takeOperator(String operator) {
        if (peek().isOperator(operator)) {
            next++;
            return true;
        }
        return false;
    }

    boolean takeName(String name) {
        if (peek().isName(name)) {
            next++;
            return true;
        }
        return false;
    }

    void expectOperator(String operator) {
        if (!takeOperator(operator)) {
            throw unexpected("'" + operator + "'");
        }
    }

    Token expect(Kind kind, String expected) {
        if (!peek().is(kind)) {
            throw unexpected(expected);
        }
        return take();
    }

    SyntaxError unexpected(String expected) {
        return new SyntaxError(line(), "found " + peek().described() + ", expected " + expected);
    }

    void enter() {
        if (++nesting > MAX_NESTING) {
            throw new SyntaxError(line(), "nested deeper than " + MAX_NESTING + " levels");
        }
    }

    void leave() {
        nesting--;
    }

    void operation() {
        if (++operations > MAX_OPERATIONS) {
            throw new SyntaxError(line(), "an expression of more than " + MAX_OPERATIONS + " operations");
        }
    }

    /// An expression that stands in no other begins: its operations are counted anew.
    void beginExpression() {
        operations = 0;
    }
}
