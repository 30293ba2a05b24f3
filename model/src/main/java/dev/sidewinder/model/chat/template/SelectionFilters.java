package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Filters.Filter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/// `map`, `select`, `reject`, `selectattr`, `rejectattr`. They give streams, as in Jinja: true whatever they hold,
/// without length, walked once.
final class SelectionFilters {
    private SelectionFilters() {}

    static void addTo(Map<String, Filter> filters) {
        filters.put("map", SelectionFilters::map);
        filters.put("select", (render, input, arguments) -> select(render, input, arguments, false, true));
        filters.put("reject", (render, input, arguments) -> select(render, input, arguments, false, false));
        filters.put("selectattr", (render, input, arguments) -> select(render, input, arguments, true, true));
        filters.put("rejectattr", (render, input, arguments) -> select(render, input, arguments, true, false));
    }

    private static Value map(Render render, Value input, Arguments arguments) {
        if (!Values.truth(input)) {
            return Values.stream(List.of());
        }
        Function<Value, Value> change = mapping(render, arguments);
        List<Value> mapped = new ArrayList<>();
        for (Value element : Values.elements(render, input)) {
            render.budget().step();
            mapped.add(change.apply(element));
        }
        return Values.stream(mapped);
    }

    private static Function<Value, Value> mapping(Render render, Arguments arguments) {
        if (arguments.positional().isEmpty() && arguments.named().containsKey("attribute")) {
            Map<String, Value> named = new LinkedHashMap<>(arguments.named());
            Value attribute = named.remove("attribute");
            Value otherwise = named.remove("default");
            if (!named.isEmpty()) {
                throw new RenderException("map has no argument '" + named.keySet().iterator().next() + "'");
            }
            return AttributePath.withDefault(render, attribute, otherwise);
        }
        if (arguments.positional().isEmpty()) {
            throw new RenderException("map needs the name of a filter, or attribute=");
        }
        String filter = Values.text(arguments.positional().getFirst(), "the name of a filter").string();
        Arguments rest = arguments.withoutFirst(1);
        return element -> {
            render.budget().enterEvaluation();
            Value mapped = Filters.apply(render, filter, element, rest);
            render.budget().leaveEvaluation();
            return mapped;
        };
    }

    private static Value select(Render render, Value input, Arguments arguments, boolean byAttribute, boolean wanted) {
        if (!Values.truth(input)) {
            return Values.stream(List.of());
        }
        int used = byAttribute ? 1 : 0;
        if (arguments.positional().size() < used) {
            throw new RenderException("the filter needs the name of an attribute");
        }
        Function<Value, Value> tested = AttributePath.of(render, byAttribute ? arguments.positional().getFirst() : null);
        boolean hasTest = arguments.positional().size() > used;
        String test = hasTest ? Values.text(arguments.positional().get(used), "the name of a test").string() : null;
        Arguments rest = hasTest ? arguments.withoutFirst(used + 1) : Arguments.NONE;
        List<Value> selected = new ArrayList<>();
        for (Value element : Values.elements(render, input)) {
            render.budget().step();
            Value value = tested.apply(element);
            boolean holds = hasTest ? Tests.test(render, test, value, rest) : Values.truth(value);
            if (holds == wanted) {
                selected.add(element);
            }
        }
        return Values.stream(selected);
    }
}
