package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Strings.Side;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;
import java.util.function.UnaryOperator;

/// The methods of strings.
final class StringMethods {
    private interface Method {
        Value call(Render render, Text text, Arguments arguments);
    }

    private static final Map<String, Method> METHODS = Map.ofEntries(
            Map.entry("strip", (render, text, arguments) -> strip(render, text, arguments, Side.BOTH)),
            Map.entry("lstrip", (render, text, arguments) -> strip(render, text, arguments, Side.LEFT)),
            Map.entry("rstrip", (render, text, arguments) -> strip(render, text, arguments, Side.RIGHT)),
            Map.entry("split", (render, text, arguments) -> split(render, text, arguments, false)),
            Map.entry("rsplit", (render, text, arguments) -> split(render, text, arguments, true)),
            Map.entry("splitlines", StringMethods::splitLines),
            Map.entry("partition", (render, text, arguments) -> partition(render, text, arguments, false)),
            Map.entry("rpartition", (render, text, arguments) -> partition(render, text, arguments, true)),
            Map.entry("startswith", (render, text, arguments) -> affix(render, text, arguments, true)),
            Map.entry("endswith", (render, text, arguments) -> affix(render, text, arguments, false)),
            Map.entry("removeprefix", (render, text, arguments) -> remove(render, text, arguments, true)),
            Map.entry("removesuffix", (render, text, arguments) -> remove(render, text, arguments, false)),
            Map.entry("replace", StringMethods::replace),
            Map.entry("join", StringMethods::join),
            Map.entry("find", (render, text, arguments) -> find(render, text, arguments, false)),
            Map.entry("rfind", (render, text, arguments) -> find(render, text, arguments, true)),
            Map.entry("index", (render, text, arguments) -> index(render, text, arguments, false)),
            Map.entry("rindex", (render, text, arguments) -> index(render, text, arguments, true)),
            Map.entry("count", StringMethods::count),
            Map.entry("upper", changing(text -> text.changeCase(PythonText::upper))),
            Map.entry("lower", changing(text -> text.changeCase(PythonText::lower))),
            Map.entry("casefold", changing(text -> text.changeCase(folded -> PythonText.lower(PythonText.upper(folded))))),
            Map.entry("title", (render, text, arguments) -> plain(arguments, Strings.title(render, text))),
            Map.entry("capitalize", (render, text, arguments) -> plain(arguments, Strings.capitalize(render, text))),
            Map.entry("swapcase", (render, text, arguments) -> plain(arguments, Strings.swapCase(render, text))),
            Map.entry("center", (render, text, arguments) -> justify(render, text, arguments, Side.BOTH)),
            Map.entry("ljust", (render, text, arguments) -> justify(render, text, arguments, Side.RIGHT)),
            Map.entry("rjust", (render, text, arguments) -> justify(render, text, arguments, Side.LEFT)),
            Map.entry("zfill", StringMethods::zeroFill),
            Map.entry("format", (render, text, arguments) -> Value.of(BraceFormat.format(render, text, arguments))),
            Map.entry("isdigit", all(c -> Character.getType(c) == Character.DECIMAL_DIGIT_NUMBER || "²³¹".indexOf(c) >= 0)),
            Map.entry("isdecimal", all(c -> Character.getType(c) == Character.DECIMAL_DIGIT_NUMBER)),
            Map.entry("isnumeric", all(c -> List.of(Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER,
                    Character.OTHER_NUMBER).contains((byte) Character.getType(c)))),
            Map.entry("isalpha", all(Character::isLetter)),
            Map.entry("isalnum", all(c -> Character.isLetterOrDigit(c) || Character.getType(c) == Character.OTHER_NUMBER)),
            Map.entry("isspace", all(PythonText::isSpace)),
            Map.entry("isascii", (render, text, _) -> Value.of(render.read(text).chars().allMatch(c -> c < 128))),
            Map.entry("islower", (render, text, _) -> Value.of(isCase(render.read(text), true))),
            Map.entry("isupper", (render, text, _) -> Value.of(isCase(render.read(text), false))));

    private StringMethods() {}

    /// null when strings have no such method.
    static Value method(Value.Str text, String name) {
        Method method = METHODS.get(name);
        return method == null ? null
                : new Value.Function(name, (render, arguments) -> method.call(render, text.text(), arguments));
    }

    /// Whether the text has letters of this case and none of the other.
    static boolean isCase(String text, boolean lower) {
        boolean other = text.codePoints().anyMatch(c -> Character.isTitleCase(c)
                || (lower ? Character.isUpperCase(c) : Character.isLowerCase(c)));
        return !other && text.codePoints().anyMatch(lower ? Character::isLowerCase : Character::isUpperCase);
    }

    private static Method changing(UnaryOperator<Text> change) {
        return (render, text, arguments) -> {
            render.budget().work(2L * text.length());
            return plain(arguments, change.apply(text));
        };
    }

    private static Value plain(Arguments arguments, Text result) {
        arguments.bind("the method");
        return Value.of(result);
    }

    private static Method all(IntPredicate test) {
        return (render, text, arguments) -> {
            arguments.bind("the method");
            return Value.of(!text.isEmpty() && render.read(text).codePoints().allMatch(test));
        };
    }

    private static Value strip(Render render, Text text, Arguments arguments, Side side) {
        return Value.of(Strings.strip(render, text, textOrNull(arguments.bind("strip", "chars")[0]), side));
    }

    /// None stands for an argument that is not given.
    private static Text textOrNull(Value value) {
        return value == null || value instanceof Value.None ? null : Values.text(value, "the argument");
    }

    private static Value split(Render render, Text text, Arguments arguments, boolean fromRight) {
        Value[] bound = arguments.bind("split", "sep", "maxsplit");
        Text separator = textOrNull(bound[0]);
        int given = bound[1] == null ? -1 : Values.index(bound[1], "maxsplit");
        int limit = given < 0 ? Integer.MAX_VALUE : given;
        List<Text> parts;
        if (separator == null) {
            parts = fromRight ? Strings.splitAtSpaceFromRight(render, text, limit) : Strings.splitAtSpace(render, text, limit);
        } else {
            parts = fromRight ? Strings.splitFromRight(render, text, separator, limit) : Strings.split(render, text, separator, limit);
        }
        return texts(parts);
    }

    private static Value texts(List<Text> parts) {
        List<Value> values = new ArrayList<>(parts.size());
        parts.forEach(part -> values.add(Value.of(part)));
        return Value.list(values);
    }

    private static Value splitLines(Render render, Text text, Arguments arguments) {
        Value keepEnds = arguments.bind("splitlines", "keepends")[0];
        return texts(Strings.lines(render, text, keepEnds != null && Values.truth(keepEnds)));
    }

    private static Value partition(Render render, Text text, Arguments arguments, boolean fromRight) {
        Text separator = Values.text(arguments.bindRequired("partition", 1, "sep")[0], "the separator");
        List<Text> parts = fromRight ? Strings.splitFromRight(render, text, separator, 1) : Strings.split(render, text, separator, 1);
        if (parts.size() == 2) {
            return Value.tuple(Value.of(parts.get(0)), Value.of(separator), Value.of(parts.get(1)));
        }
        Value whole = Value.of(text);
        return fromRight ? Value.tuple(Value.EMPTY, Value.EMPTY, whole) : Value.tuple(whole, Value.EMPTY, Value.EMPTY);
    }

    /// `startswith` and `endswith`; a tuple asks for any of its elements.
    private static Value affix(Render render, Text text, Arguments arguments, boolean start) {
        Value[] bound = arguments.bindRequired(start ? "startswith" : "endswith", 1, "affix", "start", "end");
        String all = window(render, text, bound[1], bound[2]);
        if (all == null) {
            return Value.FALSE;
        }
        List<Value> choices = bound[0] instanceof Value.Seq sequence && sequence.tuple() ? sequence.items() : List.of(bound[0]);
        for (Value choice : choices) {
            String affix = render.read(Values.text(choice, "what a text starts or ends with"));
            if (start ? all.startsWith(affix) : all.endsWith(affix)) {
                return Value.TRUE;
            }
        }
        return Value.FALSE;
    }

    /// The part of the text between two indices that may be absent; null when the first lies beyond the end.
    private static String window(Render render, Text text, Value start, Value end) {
        String all = render.read(text);
        if (start == null && end == null) {
            return all;
        }
        int length = PythonText.length(all);
        int from = bound(start, 0, length);
        int to = Math.min(bound(end, length, length), length);
        return from > to ? null : all.substring(PythonText.offset(all, from), PythonText.offset(all, to));
    }

    private static int bound(Value value, int absent, int length) {
        if (value == null || value instanceof Value.None) {
            return absent;
        }
        long index = Values.index(value, "an index");
        return (int) Math.max(0, index < 0 ? index + length : index);
    }

    private static Value remove(Render render, Text text, Arguments arguments, boolean start) {
        String affix = Values.text(arguments.bindRequired("remove", 1, "affix")[0], "the argument").string();
        String all = render.read(text);
        boolean present = start ? all.startsWith(affix) : all.endsWith(affix);
        if (!present) {
            return Value.of(text);
        }
        int rest = all.length() - affix.length();
        return Value.of(start ? text.substring(affix.length()) : text.substring(0, rest));
    }

    private static Value replace(Render render, Text text, Arguments arguments) {
        Value[] bound = arguments.bindRequired("replace", 2, "old", "new", "count");
        int count = bound[2] == null ? -1 : Values.index(bound[2], "the count");
        Text from = Values.text(bound[0], "what is replaced");
        Text to = Values.text(bound[1], "the replacement");
        return Value.of(Strings.replace(render, text, from, to, count < 0 ? Integer.MAX_VALUE : count));
    }

    private static Value join(Render render, Text text, Arguments arguments) {
        List<Text> parts = new ArrayList<>();
        for (Value part : Values.elements(render, arguments.bindRequired("join", 1, "iterable")[0])) {
            parts.add(Values.text(part, "what is joined"));
        }
        return Value.of(PythonPrint.join(render, text, parts));
    }

    private static int position(Render render, Text text, Arguments arguments, boolean fromRight) {
        Value[] bound = arguments.bindRequired("find", 1, "sub", "start", "end");
        String wanted = render.read(Values.text(bound[0], "what is looked for"));
        String all = window(render, text, bound[1], bound[2]);
        int found = all == null ? -1 : fromRight ? all.lastIndexOf(wanted) : all.indexOf(wanted);
        if (found < 0) {
            return -1;
        }
        String whole = text.string();
        return bound(bound[1], 0, PythonText.length(whole)) + all.codePointCount(0, found);
    }

    private static Value find(Render render, Text text, Arguments arguments, boolean fromRight) {
        return Value.of(position(render, text, arguments, fromRight));
    }

    private static Value index(Render render, Text text, Arguments arguments, boolean fromRight) {
        int position = position(render, text, arguments, fromRight);
        if (position < 0) {
            throw new RenderException("the text looked for is not there");
        }
        return Value.of(position);
    }

    private static Value count(Render render, Text text, Arguments arguments) {
        Value[] bound = arguments.bindRequired("count", 1, "sub", "start", "end");
        String wanted = Values.text(bound[0], "what is counted").string();
        String all = window(render, text, bound[1], bound[2]);
        if (all == null) {
            return Value.of(0);
        }
        if (wanted.isEmpty()) {
            return Value.of(PythonText.length(all) + 1L);
        }
        int count = 0;
        for (int at = all.indexOf(wanted); at >= 0; at = all.indexOf(wanted, at + wanted.length())) {
            count++;
        }
        return Value.of(count);
    }

    private static Value justify(Render render, Text text, Arguments arguments, Side side) {
        Value[] bound = arguments.bindRequired("the method", 1, "width", "fillchar");
        String fill = bound[1] == null ? " " : Values.text(bound[1], "the fill character").string();
        if (PythonText.length(fill) != 1) {
            throw new RenderException("the fill character must be one character");
        }
        return Value.of(Strings.justify(render, text, Values.index(bound[0], "the width"), fill, side));
    }

    private static Value zeroFill(Render render, Text text, Arguments arguments) {
        int width = Values.index(arguments.bindRequired("zfill", 1, "width")[0], "the width");
        String all = render.read(text);
        int sign = all.startsWith("-") || all.startsWith("+") ? 1 : 0;
        Text digits = Strings.justify(render, text.substring(sign), width - sign, "0", Side.LEFT);
        return Value.of(text.substring(0, sign).plus(digits));
    }
}
