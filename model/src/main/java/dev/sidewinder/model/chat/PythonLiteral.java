package dev.sidewinder.model.chat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Optional;

/// Reads what models trained on Python write where JSON was asked for: `{'a': True, 'b': (1, None)}`. Values only,
/// nothing is evaluated. Linear time, bounded depth.
final class PythonLiteral {
    private static final int DEEPEST = 64;
    private static final int LONGEST_NUMBER = 1_000;
    private static final JsonNodeFactory NODES = JsonNodeFactory.withExactBigDecimals(true);

    /// Thrown inside and caught in [#parse]: not a literal.
    private static final class NotALiteral extends Exception {
        private static final long serialVersionUID = 1;

        NotALiteral() {
            super(null, null, false, false);
        }
    }

    private final String text;
    private int at;

    private PythonLiteral(String text) {
        this.text = text;
    }

    static Optional<JsonNode> parse(String text) {
        var parser = new PythonLiteral(text);
        try {
            JsonNode value = parser.value(0);
            parser.skipSpace();
            return parser.at == text.length() ? Optional.of(value) : Optional.empty();
        } catch (NotALiteral e) {
            return Optional.empty();
        }
    }

    private JsonNode value(int depth) throws NotALiteral {
        skipSpace();
        if (depth > DEEPEST || at >= text.length()) {
            throw new NotALiteral();
        }
        char first = text.charAt(at);
        return switch (first) {
            case '{' -> dict(depth);
            case '[' -> list(']', depth);
            case '(' -> list(')', depth);
            case '\'', '"' -> NODES.textNode(string(first));
            default -> word();
        };
    }

    private JsonNode dict(int depth) throws NotALiteral {
        ObjectNode dict = NODES.objectNode();
        at++;
        while (!taken('}')) {
            JsonNode key = value(depth + 1);
            if (!key.isValueNode() || !taken(':')) {
                throw new NotALiteral();
            }
            dict.set(key.asText(), value(depth + 1));
            if (!taken(',') && !ahead('}')) {
                throw new NotALiteral();
            }
        }
        return dict;
    }

    private JsonNode list(char end, int depth) throws NotALiteral {
        ArrayNode list = NODES.arrayNode();
        at++;
        while (!taken(end)) {
            list.add(value(depth + 1));
            if (!taken(',') && !ahead(end)) {
                throw new NotALiteral();
            }
        }
        return list;
    }

    private String string(char quote) throws NotALiteral {
        var string = new StringBuilder();
        for (at++; at < text.length(); at++) {
            char next = text.charAt(at);
            if (next == quote) {
                at++;
                return string.toString();
            }
            if (next == '\\') {
                at++;
                escape(string);
            } else {
                string.append(next);
            }
        }
        throw new NotALiteral();
    }

    private void escape(StringBuilder string) throws NotALiteral {
        char code = at < text.length() ? text.charAt(at) : 0;
        switch (code) {
            case 'n' -> string.append('\n');
            case 't' -> string.append('\t');
            case 'r' -> string.append('\r');
            case '\\', '\'', '"' -> string.append(code);
            case '\n' -> { }
            case 'x' -> string.append((char) hex(2));
            case 'u' -> string.append((char) hex(4));
            default -> throw new NotALiteral();
        }
    }

    private int hex(int digits) throws NotALiteral {
        int value = 0;
        for (int i = 0; i < digits; i++) {
            int digit = ++at < text.length() ? Character.digit(text.charAt(at), 16) : -1;
            if (digit < 0) {
                throw new NotALiteral();
            }
            value = value << 4 | digit;
        }
        return value;
    }

    private JsonNode word() throws NotALiteral {
        int from = at;
        while (at < text.length() && isWord(text.charAt(at))) {
            at++;
        }
        String word = text.substring(from, at);
        return switch (word) {
            case "True", "true" -> NODES.booleanNode(true);
            case "False", "false" -> NODES.booleanNode(false);
            case "None", "null" -> NODES.nullNode();
            default -> number(word);
        };
    }

    private static boolean isWord(char character) {
        return character < 128 && Character.isLetterOrDigit(character) || "+-._".indexOf(character) >= 0;
    }

    private static JsonNode number(String word) throws NotALiteral {
        if (word.isEmpty() || word.length() > LONGEST_NUMBER) {
            throw new NotALiteral();
        }
        try {
            boolean whole = word.chars().allMatch(digit -> digit >= '0' && digit <= '9' || digit == '-' || digit == '+');
            return whole ? NODES.numberNode(new BigInteger(word)) : NODES.numberNode(new BigDecimal(word));
        } catch (NumberFormatException e) {
            throw new NotALiteral();
        }
    }

    private boolean taken(char expected) {
        if (!ahead(expected)) {
            return false;
        }
        at++;
        return true;
    }

    private boolean ahead(char expected) {
        skipSpace();
        return at < text.length() && text.charAt(at) == expected;
    }

    private void skipSpace() {
        while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
            at++;
        }
    }
}
