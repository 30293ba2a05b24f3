package dev.sidewinder.model.chat.template;

import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;

/// `tojson` as transformers defines it: Python's `json.dumps` with `ensure_ascii` off, and no escaping for HTML.
final class JsonPrint {
    /// @param indent    what one level is indented by; null for everything on one line
    /// @param asciiOnly whether other characters are escaped
    record Style(String indent, String itemSeparator, String keySeparator, boolean asciiOnly, boolean sortKeys) {}

    private final Render render;
    private final Style style;
    private final TextBuilder json = new TextBuilder();

    private JsonPrint(Render render, Style style) {
        this.render = render;
        this.style = style;
    }

    static Text print(Render render, Value value, Style style) {
        JsonPrint print = new JsonPrint(render, style);
        print.value(value, 0);
        render.budget().work(print.json.length());
        return print.json.text();
    }

    private void value(Value value, int depth) {
        Budget.checkValueDepth(depth);
        render.budget().step();
        switch (value) {
            case Value.None _ -> json.append("null");
            case Value.Bool bool -> json.append(bool.value() ? "true" : "false");
            case Value.Int number -> json.append(number.value().toString());
            case Value.Real number -> json.append(real(number.value()));
            case Value.Str text -> string(text.text());
            case Value.Seq sequence -> block('[', ']', sequence.items(), depth, item -> value(item, depth + 1));
            case Dict dict -> block('{', '}', entries(dict), depth, entry -> {
                string(key(entry.key()));
                json.append(style.keySeparator());
                value(entry.value(), depth + 1);
            });
            case Value.Undefined undefined -> throw new RenderException(undefined.reason() + ", so it has no JSON form");
            case Value.Range _, Value.View _, Value.Stream _, Value.Function _, Namespace _, LoopState _ ->
                throw new RenderException("an object of type '" + value.typeName() + "' has no JSON form");
        }
    }

    private Collection<Dict.Entry> entries(Dict dict) {
        if (!style.sortKeys()) {
            return dict.entries();
        }
        Comparator<Dict.Entry> byKey = (a, b) -> PythonText.compare(key(a.key()).string(), key(b.key()).string());
        return List.copyOf(dict.entries()).stream().sorted(byKey).toList();
    }

    private Text key(Value key) {
        return switch (key) {
            case Value.Str text -> text.text();
            case Value.None _ -> Text.ofConversation("null");
            case Value.Bool bool -> Text.ofConversation(bool.value() ? "true" : "false");
            case Value.Int number -> Text.ofConversation(number.value().toString());
            case Value.Real number -> Text.ofConversation(real(number.value()));
            case Value.Undefined _, Value.Seq _, Value.Range _, Dict _, Value.View _, Value.Stream _, Value.Function _,
                    Namespace _, LoopState _ ->
                throw new RenderException("a key of type '" + key.typeName() + "' has no JSON form");
        };
    }

    private <T> void block(char open, char close, Collection<T> items, int depth, Consumer<T> print) {
        json.append(String.valueOf(open));
        boolean first = true;
        for (T item : items) {
            if (!first) {
                json.append(style.itemSeparator());
            }
            first = false;
            newLine(depth + 1);
            print.accept(item);
        }
        if (!items.isEmpty()) {
            newLine(depth);
        }
        json.append(String.valueOf(close));
    }

    private void newLine(int depth) {
        if (style.indent() != null) {
            Budget.checkTextLength((long) depth * style.indent().length());
            json.append("\n").append(style.indent().repeat(depth));
        }
    }

    private void string(Text text) {
        String characters = render.read(text);
        json.append("\"");
        int plainFrom = 0;
        for (int i = 0; i < characters.length(); i++) {
            String escaped = escaped(characters.charAt(i));
            if (escaped != null) {
                json.append(text.substring(plainFrom, i)).append(escaped, text.fromTemplate(i));
                plainFrom = i + 1;
            }
        }
        json.append(text.substring(plainFrom)).append("\"");
    }

    /// null for characters that stand for themselves.
    private String escaped(char c) {
        return switch (c) {
            case '"' -> "\\\"";
            case '\\' -> "\\\\";
            case '\n' -> "\\n";
            case '\r' -> "\\r";
            case '\t' -> "\\t";
            case '\f' -> "\\f";
            case '\b' -> "\\b";
            default -> c < 0x20 || style.asciiOnly() && c > 0x7e ? String.format("\\u%04x", (int) c) : null;
        };
    }

    private static String real(double value) {
        if (Double.isNaN(value)) {
            return "NaN";
        }
        return Double.isInfinite(value) ? value > 0 ? "Infinity" : "-Infinity" : PythonPrint.real(value);
    }
}
