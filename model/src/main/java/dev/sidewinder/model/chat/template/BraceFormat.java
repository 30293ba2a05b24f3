package dev.sidewinder.model.chat.template;

import java.util.List;

/// `'…{}…'.format(values)`: fields by position or name, attributes and indices, `!r` and `!s`, and the usual format
/// specifications `[[fill]align][sign][#][0][width][,][.precision][type]`.
final class BraceFormat {
    private final Render render;
    private final Text template;
    private final String pattern;
    private final Arguments arguments;
    private final TextBuilder formatted = new TextBuilder();
    private int nextAutomatic;

    private BraceFormat(Render render, Text template, Arguments arguments) {
        this.render = render;
        this.template = template;
        this.pattern = render.read(template);
        this.arguments = arguments;
    }

    static Text format(Render render, Text template, Arguments arguments) {
        return new BraceFormat(render, template, arguments).run();
    }

    private Text run() {
        int at = 0;
        while (at < pattern.length()) {
            int brace = nextBrace(at);
            formatted.append(template.substring(at, brace));
            if (brace == pattern.length()) {
                break;
            }
            boolean doubled = brace + 1 < pattern.length() && pattern.charAt(brace + 1) == pattern.charAt(brace);
            if (doubled) {
                formatted.append(template.substring(brace, brace + 1));
                at = brace + 2;
            } else if (pattern.charAt(brace) == '}') {
                throw new RenderException("a single '}' in a format");
            } else {
                at = field(brace + 1);
            }
        }
        return formatted.text();
    }

    private int nextBrace(int from) {
        int at = from;
        while (at < pattern.length() && pattern.charAt(at) != '{' && pattern.charAt(at) != '}') {
            at++;
        }
        return at;
    }

    /// Formats the field that begins at `from` and returns where the text goes on.
    private int field(int from) {
        int close = nextBrace(from);
        if (close == pattern.length() || pattern.charAt(close) == '{') {
            throw new RenderException("a field of a format is not closed, or has fields inside, which is not supported");
        }
        String field = pattern.substring(from, close);
        int colon = field.indexOf(':');
        String name = colon < 0 ? field : field.substring(0, colon);
        String specification = colon < 0 ? "" : field.substring(colon + 1);
        Value value;
        if (name.endsWith("!r")) {
            value = Value.of(PythonPrint.repr(render, lookUp(name.substring(0, name.length() - 2))));
        } else if (name.endsWith("!s")) {
            value = Value.of(PythonPrint.str(render, lookUp(name.substring(0, name.length() - 2))));
        } else {
            value = lookUp(name);
        }
        formatted.append(FormatSpecification.apply(render, value, specification));
        return close + 1;
    }

    private Value lookUp(String path) {
        int end = 0;
        while (end < path.length() && path.charAt(end) != '.' && path.charAt(end) != '[') {
            end++;
        }
        Value value = argument(path.substring(0, end));
        int at = end;
        while (at < path.length()) {
            render.budget().step();
            boolean dot = path.charAt(at) == '.';
            int from = at + 1;
            int to = dot ? nextStep(path, from) : path.indexOf(']', from);
            if (to < 0) {
                throw new RenderException("a field of a format misses ']'");
            }
            String key = path.substring(from, to);
            value = dot ? Attributes.attribute(render, value, key) : Attributes.item(render, value, index(key));
            Comparisons.failUndefined(value);
            at = dot ? to : to + 1;
        }
        return value;
    }

    private static int nextStep(String path, int from) {
        int at = from;
        while (at < path.length() && path.charAt(at) != '.' && path.charAt(at) != '[') {
            at++;
        }
        return at;
    }

    private static boolean isNumber(String text) {
        return !text.isEmpty() && text.length() < 10 && text.chars().allMatch(c -> c >= '0' && c <= '9');
    }

    private static Value index(String key) {
        return isNumber(key) ? Value.of(Long.parseLong(key)) : Value.of(key);
    }

    private Value argument(String name) {
        List<Value> positional = arguments.positional();
        if (name.isEmpty() || isNumber(name)) {
            int index = name.isEmpty() ? nextAutomatic++ : Integer.parseInt(name);
            if (index >= positional.size()) {
                throw new RenderException("the format asks for argument " + index + " of " + positional.size());
            }
            return positional.get(index);
        }
        Value value = arguments.named().get(name);
        if (value == null) {
            throw new RenderException("the format names '" + name + "', which is not given");
        }
        return value;
    }
}
