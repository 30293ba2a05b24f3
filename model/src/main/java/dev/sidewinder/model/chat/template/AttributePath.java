package dev.sidewinder.model.chat.template;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/// The `attribute` argument of filters: a name, an index, or several joined by dots.
final class AttributePath {
    private AttributePath() {}

    /// @param path null for the element itself
    static Function<Value, Value> of(Render render, Value path) {
        return withDefault(render, path, null);
    }

    /// @param otherwise what stands for an attribute that is undefined; null for nothing
    static Function<Value, Value> withDefault(Render render, Value path, Value otherwise) {
        List<Value> parts = parts(path);
        boolean replaces = otherwise != null && !(otherwise instanceof Value.None);
        return element -> {
            Value found = element;
            for (Value part : parts) {
                render.budget().step();
                found = Attributes.item(render, found, part);
                if (replaces && found instanceof Value.Undefined) {
                    found = otherwise;
                }
            }
            return found;
        };
    }

    /// Several paths joined by commas: a list of what they find.
    static Function<Value, Value> several(Render render, Value paths, Function<Value, Value> last) {
        List<Function<Value, Value>> getters = new ArrayList<>();
        if (paths instanceof Value.Str text) {
            for (String path : text.text().string().split(",", -1)) {
                getters.add(of(render, Value.of(path)).andThen(last));
            }
        } else {
            getters.add(of(render, paths).andThen(last));
        }
        return element -> {
            List<Value> found = new ArrayList<>(getters.size());
            getters.forEach(getter -> found.add(getter.apply(element)));
            return Value.list(found);
        };
    }

    private static List<Value> parts(Value path) {
        if (path == null || path instanceof Value.None) {
            return List.of();
        }
        if (!(path instanceof Value.Str text)) {
            return List.of(path);
        }
        List<Value> parts = new ArrayList<>();
        for (String part : text.text().string().split("\\.", -1)) {
            boolean index = !part.isEmpty() && part.length() < 10 && part.chars().allMatch(c -> c >= '0' && c <= '9');
            parts.add(index ? Value.of(Long.parseLong(part)) : Value.of(part));
        }
        return parts;
    }
}
