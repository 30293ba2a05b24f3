package dev.sidewinder.model.chat.template;

import java.math.BigDecimal;
import java.util.List;

/// `'…%s…' % values`.
final class PercentFormat {
    private final Render render;
    private final Text template;
    private final String pattern;
    private final Value values;
    private final TextBuilder formatted = new TextBuilder();
    private int at;
    private int used;

    /// One `%[(name)][flags][width][.precision]type`; -1 for what is not given.
    private record Specifier(Value value, String flags, int width, int precision, char type) {
        boolean has(char flag) {
            return flags.indexOf(flag) >= 0;
        }
    }

    private PercentFormat(Render render, Text template, Value values) {
        this.render = render;
        this.template = template;
        this.pattern = render.read(template);
        this.values = values;
    }

    static Text format(Render render, Text template, Value values) {
        return new PercentFormat(render, template, values).run();
    }

    private Text run() {
        int plainFrom = 0;
        while (true) {
            at = pattern.indexOf('%', plainFrom);
            formatted.append(template.substring(plainFrom, at < 0 ? pattern.length() : at));
            if (at < 0) {
                break;
            }
            int percent = at++;
            if (pattern.startsWith("%", at)) {
                formatted.append(template.substring(percent, percent + 1));
                at++;
            } else {
                convert(specifier());
            }
            plainFrom = at;
        }
        if (leavesValues()) {
            throw new RenderException("not all arguments were used by the format");
        }
        return formatted.text();
    }

    /// A tuple must be used up; a single value too, unless it could have been asked for its elements.
    private boolean leavesValues() {
        return switch (values) {
            case Value.Seq sequence -> sequence.tuple() && used < sequence.items().size();
            case Dict _, Value.Range _, Value.Undefined _ -> false;
            case Value.None _, Value.Bool _, Value.Int _, Value.Real _, Value.Str _, Value.View _, Value.Stream _,
                    Value.Function _, Namespace _, LoopState _ -> used == 0;
        };
    }

    private Specifier specifier() {
        Value value = null;
        if (peek() == '(') {
            int close = pattern.indexOf(')', at);
            if (close < 0 || !(values instanceof Dict dict)) {
                throw new RenderException("a format with a name needs a dict");
            }
            value = dict.get(pattern.substring(at + 1, close));
            if (value == null) {
                throw new RenderException("the format names '" + pattern.substring(at + 1, close) + "', which is not given");
            }
            at = close + 1;
        }
        int flagsFrom = at;
        while ("-+ #0".indexOf(peek()) >= 0) {
            at++;
        }
        String flags = pattern.substring(flagsFrom, at);
        int width = number();
        int precision = -1;
        if (peek() == '.') {
            at++;
            precision = Math.max(0, number());
        }
        char type = peek();
        at++;
        return new Specifier(value != null ? value : next(), flags, width, precision, type);
    }

    private char peek() {
        if (at >= pattern.length()) {
            throw new RenderException("an incomplete format");
        }
        return pattern.charAt(at);
    }

    /// -1 when there are no digits.
    private int number() {
        int from = at;
        while (Character.digit(peek(), 10) >= 0) {
            at++;
        }
        if (at - from > 8) {
            throw new RenderException("a width of more than 8 digits in a format");
        }
        return at == from ? -1 : Integer.parseInt(pattern.substring(from, at));
    }

    private Value next() {
        boolean several = values instanceof Value.Seq sequence && sequence.tuple();
        List<Value> given = several ? ((Value.Seq) values).items() : List.of(values);
        if (used >= given.size()) {
            throw new RenderException("not enough arguments for the format");
        }
        return given.get(used++);
    }

    private void convert(Specifier specifier) {
        Value value = specifier.value();
        switch (specifier.type()) {
            case 's' -> text(PythonPrint.str(render, value), specifier);
            case 'r' -> text(PythonPrint.repr(render, value), specifier);
            case 'c' -> text(character(value), specifier);
            case 'd', 'i', 'u', 'x', 'X', 'o' -> integer(value, specifier);
            case 'f', 'F', 'e', 'E', 'g', 'G' -> {
                requireNumber(value);
                double real = Numbers.real(value);
                int precision = specifier.precision() < 0 ? NumberFormat.DEFAULT_PRECISION : specifier.precision();
                boolean negative = real < 0 || 1 / real < 0;
                padded(negative, NumberFormat.real(real, specifier.type(), precision), specifier);
            }
            default -> throw new RenderException("unsupported format character '" + specifier.type() + "'");
        }
    }

    private void integer(Value value, Specifier specifier) {
        requireNumber(value);
        boolean decimal = "diu".indexOf(specifier.type()) >= 0;
        if (!decimal && value instanceof Value.Real) {
            throw new RenderException("%" + specifier.type() + " needs an integer, not a float");
        }
        var whole = value instanceof Value.Real real ? finite(real.value()).toBigInteger() : Values.integer(value);
        String digits = NumberFormat.integer(whole, specifier.type(), specifier.has('#'));
        int missing = specifier.precision() - digits.length();
        Budget.checkTextLength(missing);
        padded(whole.signum() < 0, missing > 0 ? "0".repeat(missing) + digits : digits, specifier);
    }

    private static BigDecimal finite(double value) {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            throw new RenderException("a float that is not finite has no integer form");
        }
        return new BigDecimal(value);
    }

    private static void requireNumber(Value value) {
        if (!Numbers.isNumber(value)) {
            throw new RenderException("the format needs a number, not '" + value.typeName() + "'");
        }
    }

    private Text character(Value value) {
        if (value instanceof Value.Str text && PythonText.length(text.text().string()) == 1) {
            return text.text();
        }
        if (value instanceof Value.Int number && Character.isValidCodePoint(Values.index(number, "a character"))) {
            return Text.ofConversation(Character.toString(number.value().intValue()));
        }
        throw new RenderException("%c needs one character");
    }

    private void text(Text text, Specifier specifier) {
        String all = render.read(text);
        int length = PythonText.length(all);
        boolean cut = specifier.precision() >= 0 && specifier.precision() < length;
        Text shown = cut ? text.substring(0, PythonText.offset(all, specifier.precision())) : text;
        formatted.append(Strings.justify(render, shown, specifier.width(), " ",
                specifier.has('-') ? Strings.Side.RIGHT : Strings.Side.LEFT));
    }

    private void padded(boolean negative, String digits, Specifier specifier) {
        String sign = negative ? "-" : specifier.has('+') ? "+" : specifier.has(' ') ? " " : "";
        int missing = specifier.width() - sign.length() - digits.length();
        if (missing <= 0) {
            formatted.append(sign + digits);
            return;
        }
        Budget.checkTextLength(missing);
        render.budget().work(missing);
        if (specifier.has('-')) {
            formatted.append(sign + digits + " ".repeat(missing));
        } else {
            boolean zeros = specifier.has('0');
            formatted.append(zeros ? sign + "0".repeat(missing) + digits : " ".repeat(missing) + sign + digits);
        }
    }
}
