package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Token.Kind;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/// Cuts a template into tokens, white space handled as transformers sets Jinja up: `trim_blocks` (the newline after a
/// block or comment goes), `lstrip_blocks` (blanks before a block or comment at the start of a line go), `-` and `+`
/// signs override, and one newline at the very end goes.
final class Lexer {
    /// Longest first.
    private static final List<String> OPERATORS = List.of("//", "**", "==", "!=", ">=", "<=",
            "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";");

    private final String source;
    private final List<Token> tokens = new ArrayList<>();
    private int position;

    /// `line` is that of `linePosition`; it follows the tokens, so counting lines costs linear time
    private int line = 1;
    private int linePosition;

    /// whether what came before the position ended a line
    private boolean lineStarting = true;

    private Lexer(String source) {
        this.source = source;
    }

    /// @throws SyntaxError with the line
    static List<Token> tokens(String source) {
        String lines = source.replace("\r\n", "\n").replace('\r', '\n');
        Lexer lexer = new Lexer(lines.endsWith("\n") ? lines.substring(0, lines.length() - 1) : lines);
        lexer.run();
        return lexer.tokens;
    }

    private void run() {
        while (position < source.length()) {
            int tag = nextTag(position);
            if (tag < 0) {
                data(source.substring(position));
                position = source.length();
                break;
            }
            char kind = source.charAt(tag + 1);
            int sign = signAt(tag + 2);
            String before = source.substring(position, tag);
            if (sign == '-') {
                before = PythonText.stripRight(before);
            } else if (sign != '+' && kind != '{') {
                before = withoutBlanksOfLastLine(before);
            }
            data(before);
            position = tag;
            int afterMarker = tag + (sign == 0 ? 2 : 3);
            switch (kind) {
                case '#' -> comment(afterMarker);
                case '%' -> {
                    int rawBody = rawBegin(afterMarker);
                    if (rawBody >= 0) {
                        raw(rawBody);
                    } else {
                        add(Kind.BLOCK_BEGIN, "");
                        position = afterMarker;
                        expression(Kind.BLOCK_END);
                    }
                }
                default -> {
                    add(Kind.PRINT_BEGIN, "");
                    position = afterMarker;
                    expression(Kind.PRINT_END);
                }
            }
        }
        add(Kind.END, "");
    }

    private int nextTag(int from) {
        for (int i = source.indexOf('{', from); i >= 0 && i + 1 < source.length(); i = source.indexOf('{', i + 1)) {
            char next = source.charAt(i + 1);
            if (next == '{' || next == '%' || next == '#') {
                return i;
            }
        }
        return -1;
    }

    /// `-`, `+` or 0.
    private int signAt(int index) {
        char sign = index < source.length() ? source.charAt(index) : 0;
        return sign == '-' || sign == '+' ? sign : 0;
    }

    private String withoutBlanksOfLastLine(String text) {
        int lastLine = text.lastIndexOf('\n') + 1;
        boolean blank = (lastLine > 0 || lineStarting) && PythonText.isBlank(text.substring(lastLine));
        return blank ? text.substring(0, lastLine) : text;
    }

    private void comment(int from) {
        int end = source.indexOf("#}", from);
        if (end < 0) {
            throw error("missing end of comment");
        }
        char sign = end > from ? source.charAt(end - 1) : 0;
        endTag(end + 2, sign, true);
    }

    /// Where the body of a raw block begins whose `{%` was just read; -1 when the block is another.
    private int rawBegin(int from) {
        int word = skipSpace(from);
        if (!source.startsWith("raw", word)) {
            return -1;
        }
        int close = skipSpace(word + 3);
        if (source.startsWith("-%}", close)) {
            return skipSpace(close + 3);
        }
        return source.startsWith("%}", close) ? close + 2 : -1;
    }

    private void raw(int body) {
        lineStarting = body > 0 && source.charAt(body - 1) == '\n';
        for (int open = source.indexOf("{%", body); open >= 0; open = source.indexOf("{%", open + 1)) {
            int sign = signAt(open + 2);
            int word = skipSpace(open + (sign == 0 ? 2 : 3));
            if (!source.startsWith("endraw", word)) {
                continue;
            }
            int close = skipSpace(word + 6);
            char closeSign = (char) signAt(close);
            int end = closeSign == 0 ? close : close + 1;
            if (!source.startsWith("%}", end)) {
                continue;
            }
            String text = source.substring(body, open);
            if (sign == '-') {
                text = PythonText.stripRight(text);
            } else if (sign != '+') {
                text = withoutBlanksOfLastLine(text);
            }
            position = body;
            data(text);
            endTag(end + 2, closeSign, true);
            return;
        }
        throw error("missing end of raw block");
    }

    /// Moves past a tag that ends at `after`, and past the white space that goes with it.
    private void endTag(int after, char sign, boolean trimsNewline) {
        int next = after;
        if (sign == '-') {
            next = skipSpace(after);
        } else if (sign != '+' && trimsNewline && next < source.length() && source.charAt(next) == '\n') {
            next++;
        }
        lineStarting = source.charAt(next - 1) == '\n';
        position = next;
    }

    /// Reads up to the end of the tag.
    private void expression(Kind end) {
        ArrayDeque<Character> open = new ArrayDeque<>();
        String close = end == Kind.BLOCK_END ? "%}" : "}}";
        while (true) {
            position = skipSpace(position);
            if (position >= source.length()) {
                throw error("the template ends inside a tag; expected '" + close + "'");
            }
            if (open.isEmpty() && tagEnds(close, end)) {
                return;
            }
            char c = source.charAt(position);
            if (c >= '0' && c <= '9') {
                number();
            } else if (c == '\'' || c == '"') {
                string(c);
            } else if (Character.isLetter(c) || c == '_') {
                name();
            } else {
                operator(open);
            }
        }
    }

    private boolean tagEnds(String close, Kind end) {
        char sign = source.charAt(position);
        boolean signed = sign == '-' || sign == '+' && end == Kind.BLOCK_END;
        int at = signed ? position + 1 : position;
        if (!source.startsWith(close, at)) {
            return false;
        }
        add(end, "");
        endTag(at + 2, signed ? sign : 0, end == Kind.BLOCK_END);
        return true;
    }

    private void operator(ArrayDeque<Character> open) {
        for (String operator : OPERATORS) {
            if (source.startsWith(operator, position)) {
                balance(operator.charAt(0), open);
                add(Kind.OPERATOR, operator);
                position += operator.length();
                return;
            }
        }
        if (source.startsWith("!", position)) {
            throw error("unexpected character '!'");
        }
        throw error("unexpected character '" + Character.toString(source.codePointAt(position)) + "'");
    }

    private void balance(char bracket, ArrayDeque<Character> open) {
        switch (bracket) {
            case '(' -> open.push(')');
            case '[' -> open.push(']');
            case '{' -> open.push('}');
            case ')', ']', '}' -> {
                if (open.isEmpty() || open.pop() != bracket) {
                    throw error("unexpected '" + bracket + "'");
                }
            }
            default -> { }
        }
    }

    private void name() {
        int end = position;
        while (end < source.length() && (Character.isLetterOrDigit(source.charAt(end)) || source.charAt(end) == '_')) {
            end++;
        }
        add(Kind.NAME, source.substring(position, end));
        position = end;
    }

    private void string(char quote) {
        StringBuilder value = new StringBuilder();
        int i = position + 1;
        while (true) {
            if (i >= source.length()) {
                throw error("a string is not closed");
            }
            char c = source.charAt(i);
            if (c == quote) {
                break;
            }
            if (c == '\\' && i + 1 < source.length()) {
                i = StringEscapes.read(source, i + 1, value, this::error);
            } else {
                value.append(c);
                i++;
            }
        }
        add(Kind.STRING, value.toString());
        position = i + 1;
    }

    private void number() {
        int end = NumberLiteral.end(source, position, position > 0 && source.charAt(position - 1) == '.');
        String digits = source.substring(position, end);
        add(NumberLiteral.isFloat(digits) ? Kind.FLOAT : Kind.INTEGER, digits);
        position = end;
    }

    private void data(String text) {
        if (!text.isEmpty()) {
            add(Kind.DATA, text);
        }
    }

    private void add(Kind kind, String text) {
        tokens.add(new Token(kind, text, lineOf(position)));
    }

    private SyntaxError error(String message) {
        return new SyntaxError(lineOf(Math.min(position, source.length())), message);
    }

    private int lineOf(int at) {
        for (; linePosition < at; linePosition++) {
            if (source.charAt(linePosition) == '\n') {
                line++;
            }
        }
        return line;
    }

    private int skipSpace(int from) {
        int i = from;
        while (i < source.length() && PythonText.isSpace(source.charAt(i))) {
            i++;
        }
        return i;
    }
}
