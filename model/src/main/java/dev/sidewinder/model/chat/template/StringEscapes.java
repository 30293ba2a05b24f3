package dev.sidewinder.model.chat.template;

import java.util.function.Function;

/// The escapes of Python's string literals.
final class StringEscapes {
    private StringEscapes() {}

    /// Reads the escape whose letter is at `at`, after the backslash, and returns where the string goes on. An unknown
    /// escape stands for itself, backslash included.
    static int read(String source, int at, StringBuilder value, Function<String, SyntaxError> error) {
        char c = source.charAt(at);
        switch (c) {
            case '\n' -> { }
            case '\\', '\'', '"' -> value.append(c);
            case 'a' -> value.append('\u0007');
            case 'b' -> value.append('\b');
            case 'f' -> value.append('\f');
            case 'n' -> value.append('\n');
            case 'r' -> value.append('\r');
            case 't' -> value.append('\t');
            case 'v' -> value.append('\u000b');
            case 'x' -> {
                return hexadecimal(source, at + 1, 2, value, error);
            }
            case 'u' -> {
                return hexadecimal(source, at + 1, 4, value, error);
            }
            case 'U' -> {
                return hexadecimal(source, at + 1, 8, value, error);
            }
            case '0', '1', '2', '3', '4', '5', '6', '7' -> {
                return octal(source, at, value);
            }
            case 'N' -> throw error.apply("characters by name (\\N{…}) are not supported; write the character");
            default -> value.append('\\').append(c);
        }
        return at + 1;
    }

    private static int hexadecimal(String source, int at, int digits, StringBuilder value,
            Function<String, SyntaxError> error) {
        int codePoint = 0;
        for (int i = at; i < at + digits; i++) {
            int digit = i < source.length() ? Character.digit(source.charAt(i), 16) : -1;
            if (digit < 0) {
                throw error.apply("an escape needs " + digits + " hexadecimal digits");
            }
            codePoint = codePoint << 4 | digit;
        }
        if (!Character.isValidCodePoint(codePoint)) {
            throw error.apply("an escape names no Unicode character");
        }
        value.appendCodePoint(codePoint);
        return at + digits;
    }

    private static int octal(String source, int at, StringBuilder value) {
        int codePoint = 0;
        int i = at;
        while (i < at + 3 && i < source.length() && source.charAt(i) >= '0' && source.charAt(i) <= '7') {
            codePoint = codePoint << 3 | source.charAt(i) - '0';
            i++;
        }
        value.appendCodePoint(codePoint);
        return i;
    }
}
