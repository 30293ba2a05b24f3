package dev.sidewinder.model.chat.template;

import java.math.BigDecimal;
import java.util.Collection;
import java.util.List;
import java.util.function.BiConsumer;

/// Values as Python prints them: `str(value)` and, inside lists and dicts, `repr(value)`.
final class PythonPrint {
    /// Floats with a decimal exponent in this range are printed without one.
    private static final int MIN_PLAIN_EXPONENT = -4;
    private static final int MAX_PLAIN_EXPONENT = 16;

    private final Render render;
    private final TextBuilder printed = new TextBuilder();

    private PythonPrint(Render render) {
        this.render = render;
    }

    /// `str(value)`.
    static Text str(Render render, Value value) {
        return switch (value) {
            case Value.Str text -> text.text();
            case Value.Undefined _ -> Text.EMPTY;
            case Value.None _, Value.Bool _, Value.Int _, Value.Real _, Value.Seq _, Value.Range _, Dict _, Value.View _,
                    Value.Stream _, Value.Function _, Namespace _, LoopState _ -> repr(render, value);
        };
    }

    /// `repr(value)`.
    static Text repr(Render render, Value value) {
        PythonPrint print = new PythonPrint(render);
        print.value(value, 0);
        render.budget().work(print.printed.length());
        return print.printed.text();
    }

    private void value(Value value, int depth) {
        Budget.checkValueDepth(depth);
        render.budget().step();
        switch (value) {
            case Value.None _ -> printed.append("None");
            case Value.Undefined _ -> printed.append("Undefined");
            case Value.Bool bool -> printed.append(bool.value() ? "True" : "False");
            case Value.Int number -> printed.append(number.value().toString());
            case Value.Real number -> printed.append(real(number.value()));
            case Value.Str text -> quoted(text);
            case Value.Seq sequence -> sequence(sequence, depth);
            case Value.Range range -> printed.append("range(" + range.start() + ", " + range.stop()
                    + (range.step() == 1 ? ")" : ", " + range.step() + ")"));
            case Dict dict -> entries(dict, depth);
            case Value.View view -> view(view, depth);
            case Namespace namespace -> namespace(namespace, depth);
            case Value.Stream _ -> printed.append("<generator>");
            case Value.Function function -> printed.append("<function " + function.name() + ">");
            case LoopState loop -> printed.append("<LoopContext " + (loop.index() + 1) + "/" + loop.length() + ">");
        }
    }

    private void sequence(Value.Seq sequence, int depth) {
        printed.append(sequence.tuple() ? "(" : "[");
        separated(sequence.items(), depth, this::value);
        boolean single = sequence.tuple() && sequence.items().size() == 1;
        printed.append(single ? ",)" : sequence.tuple() ? ")" : "]");
    }

    private void entries(Dict dict, int depth) {
        printed.append("{");
        separated(dict.entries(), depth, (entry, inner) -> {
            value(entry.key(), inner);
            printed.append(": ");
            value(entry.value(), inner);
        });
        printed.append("}");
    }

    private void view(Value.View view, int depth) {
        printed.append(view.typeName()).append("(");
        value(Value.list(Values.elements(render, view)), depth + 1);
        printed.append(")");
    }

    private void namespace(Namespace namespace, int depth) {
        printed.append("<Namespace {");
        separated(namespace.attributes().entrySet(), depth, (entry, inner) -> {
            value(Value.of(entry.getKey()), inner);
            printed.append(": ");
            value(entry.getValue(), inner);
        });
        printed.append("}>");
    }

    private <T> void separated(Collection<T> items, int depth, BiConsumer<T, Integer> print) {
        boolean first = true;
        for (T item : items) {
            if (!first) {
                printed.append(", ");
            }
            first = false;
            print.accept(item, depth + 1);
        }
    }

    /// A string in the quotes that need less escaping.
    private void quoted(Value.Str value) {
        Text text = value.text();
        String characters = render.read(text);
        boolean doubleQuotes = characters.indexOf('\'') >= 0 && characters.indexOf('"') < 0;
        char quote = doubleQuotes ? '"' : '\'';
        printed.append(value.markup() ? "Markup(" : "").append(String.valueOf(quote));
        int plainFrom = 0;
        for (int i = 0; i < characters.length(); ) {
            int c = characters.codePointAt(i);
            int next = i + Character.charCount(c);
            String escaped = escaped(c, quote);
            if (escaped != null) {
                printed.append(text.substring(plainFrom, i)).append(escaped, text.fromTemplate(i));
                plainFrom = next;
            }
            i = next;
        }
        printed.append(text.substring(plainFrom)).append(String.valueOf(quote)).append(value.markup() ? ")" : "");
    }

    /// null for characters that stand for themselves.
    private static String escaped(int c, char quote) {
        if (c == quote || c == '\\') {
            return "\\" + (char) c;
        }
        return switch (c) {
            case '\n' -> "\\n";
            case '\r' -> "\\r";
            case '\t' -> "\\t";
            default -> {
                if (printable(c)) {
                    yield null;
                }
                yield c < 0x100 ? String.format("\\x%02x", c) : c < 0x10000 ? String.format("\\u%04x", c)
                        : String.format("\\U%08x", c);
            }
        };
    }

    /// `str.isprintable` of one character.
    private static boolean printable(int c) {
        if (c == ' ') {
            return true;
        }
        return switch (Character.getType(c)) {
            case Character.CONTROL, Character.FORMAT, Character.SURROGATE, Character.PRIVATE_USE, Character.UNASSIGNED,
                    Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR, Character.SPACE_SEPARATOR -> false;
            default -> true;
        };
    }

    /// `repr` of a float: the shortest digits that name it.
    static String real(double value) {
        if (Double.isNaN(value)) {
            return "nan";
        }
        if (Double.isInfinite(value)) {
            return value > 0 ? "inf" : "-inf";
        }
        if (value == 0) {
            return 1 / value < 0 ? "-0.0" : "0.0";
        }
        BigDecimal shortest = new BigDecimal(Double.toString(value)).stripTrailingZeros();
        String digits = shortest.unscaledValue().abs().toString();
        int exponent = digits.length() - 1 - shortest.scale();
        String sign = value < 0 ? "-" : "";
        if (exponent >= MAX_PLAIN_EXPONENT || exponent < MIN_PLAIN_EXPONENT) {
            String fraction = digits.length() > 1 ? "." + digits.substring(1) : "";
            String padded = Math.abs(exponent) < 10 ? "0" + Math.abs(exponent) : "" + Math.abs(exponent);
            return sign + digits.charAt(0) + fraction + "e" + (exponent < 0 ? "-" : "+") + padded;
        }
        String plain = shortest.abs().toPlainString();
        return sign + (plain.indexOf('.') < 0 ? plain + ".0" : plain);
    }

    /// Joins texts, as `'…'.join(…)` does.
    static Text join(Render render, Text separator, List<Text> parts) {
        TextBuilder joined = new TextBuilder();
        for (int i = 0; i < parts.size(); i++) {
            if (i > 0) {
                joined.append(separator);
            }
            joined.append(parts.get(i));
        }
        render.budget().work(joined.length());
        return joined.text();
    }
}
