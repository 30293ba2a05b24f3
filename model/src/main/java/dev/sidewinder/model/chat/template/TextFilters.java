package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Filters.Filter;
import dev.sidewinder.model.chat.template.Strings.Side;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// Filters that make text. What is no text is printed first, as Jinja does.
final class TextFilters {
    private static final int DEFAULT_CENTER_WIDTH = 80;
    private static final int DEFAULT_INDENT = 4;
    private static final int DEFAULT_TRUNCATE_LENGTH = 255;
    private static final int DEFAULT_TRUNCATE_LEEWAY = 5;

    private TextFilters() {}

    static void addTo(Map<String, Filter> filters) {
        filters.put("trim", TextFilters::trim);
        filters.put("upper", (render, input, arguments) -> {
            arguments.bind("upper");
            return keepingMarkup(input, charged(render, input).changeCase(PythonText::upper));
        });
        filters.put("lower", (render, input, arguments) -> {
            arguments.bind("lower");
            return keepingMarkup(input, charged(render, input).changeCase(PythonText::lower));
        });
        filters.put("title", (render, input, arguments) -> {
            arguments.bind("title");
            return Value.of(Strings.jinjaTitle(render, PythonPrint.str(render, input)));
        });
        filters.put("capitalize", (render, input, arguments) -> {
            arguments.bind("capitalize");
            return keepingMarkup(input, Strings.capitalize(render, PythonPrint.str(render, input)));
        });
        filters.put("center", (render, input, arguments) -> {
            Value[] bound = arguments.bind("center", "width");
            int width = bound[0] == null ? DEFAULT_CENTER_WIDTH : Values.index(bound[0], "the width");
            return keepingMarkup(input, Strings.justify(render, PythonPrint.str(render, input), width, " ", Side.BOTH));
        });
        filters.put("replace", TextFilters::replace);
        filters.put("indent", TextFilters::indent);
        filters.put("truncate", TextFilters::truncate);
        filters.put("format", TextFilters::format);
        filters.put("wordcount", TextFilters::wordCount);
        filters.put("urlencode", TextFilters::urlEncode);
        filters.put("string", (render, input, _) -> input instanceof Value.Str ? input : Value.of(PythonPrint.str(render, input)));
        filters.put("safe", (render, input, _) -> new Value.Str(PythonPrint.str(render, input), true));
        filters.put("escape", (render, input, _) -> Html.escape(render, input));
        filters.put("e", (render, input, _) -> Html.escape(render, input));
        filters.put("forceescape", (render, input, _) -> Html.forceEscape(render, input));
    }

    private static Text charged(Render render, Value input) {
        Text text = PythonPrint.str(render, input);
        render.budget().work(2L * text.length());
        return text;
    }

    private static Value keepingMarkup(Value input, Text result) {
        return new Value.Str(result, input instanceof Value.Str text && text.markup());
    }

    private static Value trim(Render render, Value input, Arguments arguments) {
        Value characters = arguments.bind("trim", "chars")[0];
        Text wanted = characters == null || characters instanceof Value.None ? null : Values.text(characters, "chars");
        return keepingMarkup(input, Strings.strip(render, PythonPrint.str(render, input), wanted, Side.BOTH));
    }

    private static Value replace(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bindRequired("replace", 2, "old", "new", "count");
        int count = bound[2] == null || bound[2] instanceof Value.None ? -1 : Values.index(bound[2], "the count");
        Text from = PythonPrint.str(render, bound[0]);
        Text to = PythonPrint.str(render, bound[1]);
        return Value.of(Strings.replace(render, PythonPrint.str(render, input), from, to, count < 0 ? Integer.MAX_VALUE : count));
    }

    private static Value indent(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bind("indent", "width", "first", "blank");
        Text indent = indent(render, bound[0]);
        boolean first = bound[1] != null && Values.truth(bound[1]);
        boolean blank = bound[2] != null && Values.truth(bound[2]);
        Text text = Values.text(input, "what is indented").plus(Text.ofConversation("\n"));
        TextBuilder indented = new TextBuilder();
        List<Text> lines = Strings.lines(render, text, false);
        for (int i = 0; i < lines.size(); i++) {
            if (i > 0) {
                indented.append("\n");
            }
            boolean wanted = i == 0 ? first : blank || !lines.get(i).isEmpty();
            if (wanted) {
                render.budget().work(indent.length());
                indented.append(indent);
            }
            indented.append(lines.get(i));
        }
        return keepingMarkup(input, indented.text());
    }

    private static Text indent(Render render, Value width) {
        if (width instanceof Value.Str text) {
            return text.text();
        }
        int blanks = width == null ? DEFAULT_INDENT : Values.index(width, "the width");
        Budget.checkTextLength(blanks);
        render.budget().work(Math.max(0, blanks));
        return Text.ofConversation(" ".repeat(Math.max(0, blanks)));
    }

    private static Value truncate(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bind("truncate", "length", "killwords", "end", "leeway");
        int length = bound[0] == null ? DEFAULT_TRUNCATE_LENGTH : Values.index(bound[0], "the length");
        Text end = bound[2] == null ? Text.ofConversation("...") : Values.text(bound[2], "the end");
        int leeway = bound[3] == null || bound[3] instanceof Value.None ? DEFAULT_TRUNCATE_LEEWAY : Values.index(bound[3], "the leeway");
        int endLength = PythonText.length(end.string());
        if (length < endLength || leeway < 0) {
            throw new RenderException("truncate needs a length of at least " + endLength + " and no negative leeway");
        }
        if (Values.length(render, input) <= (long) length + leeway) {
            return input;
        }
        Text text = Values.text(input, "what is truncated");
        String all = render.read(text);
        Text kept = text.substring(0, PythonText.offset(all, length - endLength));
        boolean killWords = bound[1] != null && Values.truth(bound[1]);
        int lastBlank = killWords ? -1 : kept.string().lastIndexOf(' ');
        return Value.of((lastBlank < 0 ? kept : kept.substring(0, lastBlank)).plus(end));
    }

    private static Value format(Render render, Value input, Arguments arguments) {
        if (!arguments.positional().isEmpty() && !arguments.named().isEmpty()) {
            throw new RenderException("format takes positional or named arguments, not both");
        }
        Value values = Value.tuple(List.copyOf(arguments.positional()));
        if (!arguments.named().isEmpty()) {
            Dict named = new Dict();
            arguments.named().forEach(named::put);
            values = named;
        }
        return Value.of(PercentFormat.format(render, PythonPrint.str(render, input), values));
    }

    private static Value wordCount(Render render, Value input, Arguments arguments) {
        arguments.bind("wordcount");
        String all = render.read(PythonPrint.str(render, input));
        int words = 0;
        boolean inWord = false;
        for (int i = 0; i < all.length(); i += Character.charCount(all.codePointAt(i))) {
            int c = all.codePointAt(i);
            boolean letter = Character.isLetterOrDigit(c) || c == '_' || Character.getType(c) == Character.OTHER_NUMBER
                    || Character.getType(c) == Character.LETTER_NUMBER;
            words += letter && !inWord ? 1 : 0;
            inWord = letter;
        }
        return Value.of(words);
    }

    private static Value urlEncode(Render render, Value input, Arguments arguments) {
        arguments.bind("urlencode");
        if (!(input instanceof Value.Str) && Values.iterable(input) && !(input instanceof Value.Undefined)) {
            return Value.of(encodedPairs(render, input));
        }
        return Value.of(encoded(render, input, "/"));
    }

    private static Text encodedPairs(Render render, Value input) {
        Value pairs = input instanceof Dict dict ? new Value.View(dict, Value.View.Part.ITEMS) : input;
        List<Text> parts = new ArrayList<>();
        for (Value pair : Values.elements(render, pairs)) {
            if (!(pair instanceof Value.Seq sequence) || sequence.items().size() != 2) {
                throw new RenderException("urlencode needs a text, a dict, or pairs");
            }
            Text key = formEncoded(render, sequence.items().get(0));
            parts.add(key.plus(Text.ofConversation("=")).plus(formEncoded(render, sequence.items().get(1))));
        }
        return PythonPrint.join(render, Text.ofConversation("&"), parts);
    }

    private static Text formEncoded(Render render, Value value) {
        Text text = encoded(render, value, "");
        return Strings.replace(render, text, Text.ofConversation("%20"), Text.ofConversation("+"), Integer.MAX_VALUE);
    }

    private static Text encoded(Render render, Value value, String alsoPlain) {
        Text text = PythonPrint.str(render, value);
        String all = render.read(text);
        TextBuilder encoded = new TextBuilder(all.length());
        for (int i = 0; i < all.length(); ) {
            int c = all.codePointAt(i);
            int next = i + Character.charCount(c);
            boolean plain = c < 128 && (Character.isLetterOrDigit(c) || ("_.-~" + alsoPlain).indexOf(c) >= 0);
            if (plain) {
                encoded.append(all, i, next, text.fromTemplate(i));
            } else {
                for (byte b : all.substring(i, next).getBytes(StandardCharsets.UTF_8)) {
                    encoded.append(String.format("%%%02X", b & 0xff), text.fromTemplate(i));
                }
            }
            i = next;
        }
        render.budget().work(encoded.length());
        return encoded.text();
    }
}
