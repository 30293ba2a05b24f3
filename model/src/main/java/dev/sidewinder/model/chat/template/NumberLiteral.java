package dev.sidewinder.model.chat.template;

import java.math.BigInteger;

/// Numbers as Python's source spells them: `12`, `1_000`, `0x1f`, `1.5e3`.
final class NumberLiteral {
    private NumberLiteral() {}

    /// Where the number that begins at `from` ends.
    ///
    /// @param afterDot in `x.1.2` the `1` is an index, and the number ends before the next dot
    static int end(String source, int from, boolean afterDot) {
        if (source.charAt(from) == '0' && from + 1 < source.length()) {
            int radix = radix(source.charAt(from + 1));
            if (radix != 10) {
                int end = digits(source, from + 2, radix);
                return end > from + 2 ? end : from + 1;
            }
        }
        int end = digits(source, from, 10);
        if (afterDot) {
            return end;
        }
        int fraction = end + 1;
        if (end < source.length() && source.charAt(end) == '.' && digits(source, fraction, 10) > fraction) {
            end = digits(source, fraction, 10);
        }
        if (end < source.length() && (source.charAt(end) | 0x20) == 'e') {
            int exponent = end + 1;
            if (exponent < source.length() && (source.charAt(exponent) == '+' || source.charAt(exponent) == '-')) {
                exponent++;
            }
            int exponentEnd = digits(source, exponent, 10);
            return exponentEnd > exponent ? exponentEnd : end;
        }
        return end;
    }

    static boolean isFloat(String digits) {
        return radixOf(digits) == 10 && (digits.indexOf('.') >= 0 || digits.indexOf('e') >= 0 || digits.indexOf('E') >= 0);
    }

    static BigInteger integer(String digits) {
        String plain = digits.replace("_", "");
        int radix = radixOf(plain);
        return radix == 10 ? new BigInteger(plain) : new BigInteger(plain.substring(2), radix);
    }

    static double real(String digits) {
        return Double.parseDouble(digits.replace("_", ""));
    }

    private static int radixOf(String digits) {
        return digits.length() > 2 && digits.charAt(0) == '0' ? radix(digits.charAt(1)) : 10;
    }

    private static int radix(char letter) {
        return switch (letter) {
            case 'x', 'X' -> 16;
            case 'o', 'O' -> 8;
            case 'b', 'B' -> 2;
            default -> 10;
        };
    }

    /// Digits with single underscores between them.
    private static int digits(String source, int from, int radix) {
        int end = from;
        for (int i = from; i < source.length(); i++) {
            char c = source.charAt(i);
            if (c < 128 && Character.digit(c, radix) >= 0) {
                end = i + 1;
            } else if (c != '_' || end != i) {
                break;
            }
        }
        return end;
    }
}
