package dev.sidewinder.model.chat.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Locale;

/// Numbers in the forms of Python's `%` and `format`.
final class NumberFormat {
    static final int DEFAULT_PRECISION = 6;

    /// More digits than this no format asks for in earnest.
    static final int MAX_PRECISION = 1000;

    private NumberFormat() {}

    /// The digits of an integer without its sign.
    static String integer(BigInteger value, char type, boolean alternate) {
        BigInteger digits = value.abs();
        return switch (type) {
            case 'x' -> (alternate ? "0x" : "") + digits.toString(16);
            case 'X' -> (alternate ? "0X" : "") + digits.toString(16).toUpperCase(Locale.ROOT);
            case 'o' -> (alternate ? "0o" : "") + digits.toString(8);
            case 'b' -> (alternate ? "0b" : "") + digits.toString(2);
            default -> digits.toString();
        };
    }

    /// The digits of a float without its sign.
    static String real(double value, char type, int precision) {
        if (precision > MAX_PRECISION) {
            throw new RenderException("a precision of " + precision + "; at most " + MAX_PRECISION + " is allowed");
        }
        boolean upper = Character.isUpperCase(type);
        double magnitude = Math.abs(value);
        if (Double.isNaN(magnitude) || Double.isInfinite(magnitude)) {
            String name = Double.isNaN(magnitude) ? "nan" : "inf";
            return upper ? name.toUpperCase(Locale.ROOT) : name;
        }
        String digits = switch (Character.toLowerCase(type)) {
            case 'e' -> scientific(new BigDecimal(magnitude), precision);
            case 'g' -> general(new BigDecimal(magnitude), Math.max(1, precision));
            default -> new BigDecimal(magnitude).setScale(precision, RoundingMode.HALF_EVEN).toPlainString();
        };
        return upper ? digits.toUpperCase(Locale.ROOT) : digits;
    }

    private static String scientific(BigDecimal value, int precision) {
        if (value.signum() == 0) {
            return (precision == 0 ? "0" : "0." + "0".repeat(precision)) + "e+00";
        }
        BigDecimal rounded = value.round(new MathContext(precision + 1, RoundingMode.HALF_EVEN));
        String digits = rounded.unscaledValue().toString();
        int exponent = digits.length() - 1 - rounded.scale();
        String padded = (digits + "0".repeat(precision + 1)).substring(0, precision + 1);
        String mantissa = precision == 0 ? padded : padded.charAt(0) + "." + padded.substring(1);
        return mantissa + "e" + (exponent < 0 ? "-" : "+") + (Math.abs(exponent) < 10 ? "0" : "") + Math.abs(exponent);
    }

    private static String general(BigDecimal value, int precision) {
        if (value.signum() == 0) {
            return "0";
        }
        BigDecimal rounded = value.round(new MathContext(precision, RoundingMode.HALF_EVEN)).stripTrailingZeros();
        int exponent = rounded.precision() - 1 - rounded.scale();
        boolean plain = exponent >= -4 && exponent < precision;
        return plain ? rounded.toPlainString() : scientific(rounded, rounded.precision() - 1);
    }
}
