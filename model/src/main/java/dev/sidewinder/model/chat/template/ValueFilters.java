package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Filters.Filter;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.Locale;
import java.util.Map;

/// Filters on single values: defaults, numbers, JSON.
final class ValueFilters {
    private ValueFilters() {}

    static void addTo(Map<String, Filter> filters) {
        filters.put("default", ValueFilters::defaultValue);
        filters.put("d", ValueFilters::defaultValue);
        filters.put("tojson", ValueFilters::toJson);
        filters.put("int", ValueFilters::toInt);
        filters.put("float", ValueFilters::toFloat);
        filters.put("abs", ValueFilters::abs);
        filters.put("round", ValueFilters::round);
        filters.put("attr", (render, input, arguments) -> {
            Text name = Values.text(arguments.bindRequired("attr", 1, "name")[0], "the name");
            return Attributes.attributeOnly(input, name.string());
        });
    }

    private static Value defaultValue(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bind("default", "default_value", "boolean");
        boolean alsoFalse = bound[1] != null && Values.truth(bound[1]);
        boolean replaced = input instanceof Value.Undefined || alsoFalse && !Values.truth(input);
        return !replaced ? input : bound[0] == null ? Value.EMPTY : bound[0];
    }

    private static Value toJson(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bind("tojson", "ensure_ascii", "indent", "separators", "sort_keys");
        boolean asciiOnly = bound[0] != null && Values.truth(bound[0]);
        String indent = jsonIndent(bound[1]);
        String itemSeparator = indent == null ? ", " : ",";
        String keySeparator = ": ";
        if (bound[2] instanceof Value.Seq separators && separators.items().size() == 2) {
            itemSeparator = Values.text(separators.items().get(0), "a separator").string();
            keySeparator = Values.text(separators.items().get(1), "a separator").string();
        } else if (bound[2] != null && !(bound[2] instanceof Value.None)) {
            throw new RenderException("separators must be a pair of strings");
        }
        boolean sortKeys = bound[3] != null && Values.truth(bound[3]);
        var style = new JsonPrint.Style(indent, itemSeparator, keySeparator, asciiOnly, sortKeys);
        return Value.of(JsonPrint.print(render, input, style));
    }

    private static String jsonIndent(Value indent) {
        if (indent == null || indent instanceof Value.None) {
            return null;
        }
        if (indent instanceof Value.Str text) {
            return text.text().string();
        }
        int blanks = Values.index(indent, "indent");
        Budget.checkTextLength(blanks);
        return " ".repeat(Math.max(0, blanks));
    }

    private static Value toInt(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bind("int", "default", "base");
        Value otherwise = bound[0] == null ? Value.of(0) : bound[0];
        int base = bound[1] == null ? 10 : Values.index(bound[1], "the base");
        return switch (input) {
            case Value.Bool _, Value.Int _ -> new Value.Int(Values.integer(input));
            case Value.Real number -> truncated(number.value(), otherwise);
            case Value.Str text -> {
                BigInteger parsed = parseInteger(render.read(text.text()), base);
                if (parsed != null) {
                    yield Numbers.integer(parsed);
                }
                Double real = parseReal(text.text().string());
                yield real == null ? otherwise : truncated(real, otherwise);
            }
            case Value.Undefined undefined -> throw new RenderException(undefined.reason());
            case Value.None _, Value.Seq _, Value.Range _, Dict _, Value.View _, Value.Stream _, Value.Function _,
                    Namespace _, LoopState _ -> otherwise;
        };
    }

    private static Value truncated(double value, Value otherwise) {
        boolean finite = !Double.isNaN(value) && !Double.isInfinite(value);
        return finite ? new Value.Int(new BigDecimal(value).toBigInteger()) : otherwise;
    }

    /// `int(text, base)`; null where Python raises.
    private static BigInteger parseInteger(String text, int base) {
        String digits = numberText(text);
        if (digits == null || base != 0 && (base < 2 || base > Character.MAX_RADIX)) {
            return null;
        }
        boolean negative = digits.startsWith("-");
        String unsigned = negative || digits.startsWith("+") ? digits.substring(1) : digits;
        int radix = base;
        String lower = unsigned.toLowerCase(Locale.ROOT);
        for (Map.Entry<String, Integer> prefix : Map.of("0x", 16, "0o", 8, "0b", 2).entrySet()) {
            if (lower.startsWith(prefix.getKey()) && (base == 0 || base == prefix.getValue())) {
                radix = prefix.getValue();
                unsigned = unsigned.substring(2);
            }
        }
        int digitBase = radix == 0 ? 10 : radix;
        boolean valid = !unsigned.isEmpty() && unsigned.chars().allMatch(c -> Character.digit(c, digitBase) >= 0);
        if (!valid || unsigned.length() > Budget.MAX_INTEGER_BITS) {
            return null;
        }
        BigInteger value = new BigInteger(unsigned, digitBase);
        return negative ? value.negate() : value;
    }

    /// Without white space around it and single underscores inside; null when the underscores stand wrong.
    private static String numberText(String text) {
        String stripped = PythonText.stripRight(text);
        int from = 0;
        while (from < stripped.length() && PythonText.isSpace(stripped.charAt(from))) {
            from++;
        }
        String number = stripped.substring(from);
        if (number.indexOf('_') < 0) {
            return number;
        }
        boolean wrong = number.startsWith("_") || number.endsWith("_") || number.contains("__");
        return wrong ? null : number.replace("_", "");
    }

    /// `float(text)`; null where Python raises.
    static Double parseReal(String text) {
        String number = numberText(text);
        if (number == null) {
            return null;
        }
        String lower = number.toLowerCase(Locale.ROOT);
        String unsigned = lower.startsWith("-") || lower.startsWith("+") ? lower.substring(1) : lower;
        double sign = lower.startsWith("-") ? -1 : 1;
        if (unsigned.equals("inf") || unsigned.equals("infinity")) {
            return sign * Double.POSITIVE_INFINITY;
        }
        if (unsigned.equals("nan")) {
            return Double.NaN;
        }
        // Java also takes "1d", "0x1p3" and "NaN"
        boolean plain = !unsigned.isEmpty() && unsigned.chars().allMatch(c -> c >= '0' && c <= '9' || "+-.e".indexOf(c) >= 0);
        try {
            return plain ? Double.valueOf(lower) : null;
        } catch (NumberFormatException e) {
            return null;
        }
    }

    private static Value toFloat(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bind("float", "default");
        Value otherwise = bound[0] == null ? new Value.Real(0) : bound[0];
        return switch (input) {
            case Value.Bool _, Value.Int _, Value.Real _ -> new Value.Real(Numbers.real(input));
            case Value.Str text -> {
                Double parsed = parseReal(render.read(text.text()));
                yield parsed == null ? otherwise : new Value.Real(parsed);
            }
            case Value.Undefined undefined -> throw new RenderException(undefined.reason());
            case Value.None _, Value.Seq _, Value.Range _, Dict _, Value.View _, Value.Stream _, Value.Function _,
                    Namespace _, LoopState _ -> otherwise;
        };
    }

    private static Value abs(Render render, Value input, Arguments arguments) {
        arguments.bind("abs");
        number(input, "abs");
        return input instanceof Value.Real number ? new Value.Real(Math.abs(number.value()))
                : new Value.Int(Values.integer(input).abs());
    }

    private static void number(Value input, String filter) {
        Comparisons.failUndefined(input);
        if (!Numbers.isNumber(input)) {
            throw new RenderException(filter + " needs a number, not '" + input.typeName() + "'");
        }
    }

    private static Value round(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bind("round", "precision", "method");
        int precision = bound[0] == null ? 0 : Values.index(bound[0], "the precision");
        String method = bound[1] == null ? "common" : Values.text(bound[1], "the method").string();
        number(input, "round");
        // beyond these no digit of a double is touched, or none is left
        int places = Math.clamp(precision, -400, 400);
        return switch (method) {
            case "common" -> {
                if (input instanceof Value.Real number) {
                    yield new Value.Real(rounded(number.value(), places));
                }
                BigDecimal exact = new BigDecimal(Values.integer(input));
                yield places >= 0 ? new Value.Int(Values.integer(input))
                        : new Value.Int(exact.setScale(places, RoundingMode.HALF_EVEN).toBigInteger());
            }
            case "ceil", "floor" -> {
                double scale = Math.pow(10, places);
                double scaled = Numbers.real(input) * scale;
                yield new Value.Real((method.equals("ceil") ? Math.ceil(scaled) : Math.floor(scaled)) / scale);
            }
            default -> throw new RenderException("round knows the methods common, ceil and floor");
        };
    }

    private static double rounded(double value, int places) {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            return value;
        }
        double rounded = new BigDecimal(value).setScale(places, RoundingMode.HALF_EVEN).doubleValue();
        return Math.copySign(rounded, value);
    }
}
