package dev.sidewinder.model.chat.template;

import java.math.BigInteger;

/// `[[fill]align][sign][#][0][width][,][.precision][type]` of `str.format`.
final class FormatSpecification {
    private final String specification;
    private int at;

    private String fill = " ";
    private char align;
    private char sign = '-';
    private boolean alternate;
    private int width;
    private boolean grouped;
    private int precision = -1;
    private char type;

    private FormatSpecification(String specification) {
        this.specification = specification;
        parse();
    }

    static Text apply(Render render, Value value, String specification) {
        if (specification.isEmpty()) {
            return PythonPrint.str(render, value);
        }
        return new FormatSpecification(specification).apply(render, value);
    }

    private void parse() {
        int fillEnd = specification.isEmpty() ? 0 : specification.offsetByCodePoints(0, 1);
        if (fillEnd < specification.length() && "<>=^".indexOf(specification.charAt(fillEnd)) >= 0) {
            fill = specification.substring(0, fillEnd);
            align = specification.charAt(fillEnd);
            at = fillEnd + 1;
        } else if ("<>=^".indexOf(peek()) >= 0) {
            align = specification.charAt(at++);
        }
        if ("+- ".indexOf(peek()) >= 0) {
            sign = specification.charAt(at++);
        }
        alternate = take('#');
        if (take('0') && align == 0) {
            fill = "0";
            align = '=';
        }
        width = Math.max(0, number());
        grouped = take(',');
        if (take('.')) {
            precision = number();
            if (precision < 0) {
                throw new RenderException("a format misses its precision");
            }
        }
        if (at < specification.length()) {
            type = specification.charAt(at++);
        }
        if (at < specification.length()) {
            throw new RenderException("a format specification that is not supported");
        }
    }

    /// 1, which is none of the letters, at the end.
    private char peek() {
        return at < specification.length() ? specification.charAt(at) : 1;
    }

    private boolean take(char wanted) {
        boolean found = peek() == wanted;
        at += found ? 1 : 0;
        return found;
    }

    /// -1 when there are no digits.
    private int number() {
        int from = at;
        while (peek() >= '0' && peek() <= '9') {
            at++;
        }
        if (at - from > 8) {
            throw new RenderException("a width of more than 8 digits in a format");
        }
        return at == from ? -1 : Integer.parseInt(specification.substring(from, at));
    }

    private Text apply(Render render, Value value) {
        boolean number = Numbers.isNumber(value) && !(value instanceof Value.Bool && type == 0);
        if (number) {
            return number(render, value);
        }
        if (type != 0 && type != 's') {
            throw new RenderException("the format '" + type + "' does not work on '" + value.typeName() + "'");
        }
        if (!(value instanceof Value.Str) || align == '=') {
            throw new RenderException("the format does not work on '" + value.typeName() + "'");
        }
        Text text = PythonPrint.str(render, value);
        String all = render.read(text);
        boolean cut = precision >= 0 && precision < PythonText.length(all);
        return padded(render, "", cut ? text.substring(0, PythonText.offset(all, precision)) : text, '<');
    }

    private Text number(Render render, Value value) {
        boolean integral = !(value instanceof Value.Real) && (type == 0 || "dxXob".indexOf(type) >= 0);
        String digits;
        boolean negative;
        if (integral) {
            BigInteger whole = Values.integer(value);
            negative = whole.signum() < 0;
            digits = NumberFormat.integer(whole, type == 0 ? 'd' : type, alternate);
        } else {
            double real = Numbers.real(value);
            negative = real < 0 || 1 / real < 0;
            digits = realDigits(real);
        }
        String signText = negative ? "-" : sign == '-' ? "" : String.valueOf(sign);
        return padded(render, signText, Text.ofConversation(grouped ? grouped(digits) : digits), '>');
    }

    private String realDigits(double real) {
        if (type == '%') {
            return NumberFormat.real(real * 100, 'f', precision < 0 ? NumberFormat.DEFAULT_PRECISION : precision) + "%";
        }
        if (type == 0 && precision < 0) {
            return PythonPrint.real(Math.abs(real));
        }
        if (type != 0 && "fFeEgG".indexOf(type) < 0) {
            throw new RenderException("the format '" + type + "' does not work on a float");
        }
        return NumberFormat.real(real, type == 0 ? 'g' : type, precision < 0 ? NumberFormat.DEFAULT_PRECISION : precision);
    }

    private static String grouped(String digits) {
        int end = 0;
        while (end < digits.length() && Character.isDigit(digits.charAt(end))) {
            end++;
        }
        StringBuilder grouped = new StringBuilder(digits);
        for (int i = end - 3; i > 0; i -= 3) {
            grouped.insert(i, ',');
        }
        return grouped.toString();
    }

    private Text padded(Render render, String signText, Text body, char usualAlign) {
        int missing = width - signText.length() - PythonText.length(body.string());
        Text signed = Text.ofConversation(signText).plus(body);
        if (missing <= 0) {
            return signed;
        }
        Budget.checkTextLength(width);
        render.budget().work(width);
        int left = switch (align == 0 ? usualAlign : align) {
            case '<' -> 0;
            case '^' -> missing / 2;
            default -> missing;
        };
        Text leftFill = Text.ofConversation(fill.repeat(left));
        if (align == '=') {
            return Text.ofConversation(signText).plus(leftFill).plus(body);
        }
        return leftFill.plus(signed).plus(Text.ofConversation(fill.repeat(missing - left)));
    }
}
