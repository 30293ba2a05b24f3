package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Filters.Filter;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.function.Function;
import java.util.function.Predicate;

/// `map`, `select`, `reject`, `selectattr`, `rejectattr`. They give streams, as in Jinja: true whatever they hold,
/// without length, walked once, computed while they are walked.
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
        Iterator<Value> elements = Values.elements(render, input).iterator();
        return new Value.Stream(new Iterator<>() {
            @Override
            public boolean hasNext() {
                return elements.hasNext();
            }

            @Override
            public Value next() {
                render.budget().step();
                return change.apply(elements.next());
            }
        });
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
        Predicate<Value> selects = element -> {
            render.budget().step();
            Value value = tested.apply(element);
            return wanted == (hasTest ? Tests.test(render, test, value, rest) : Values.truth(value));
        };
        return new Value.Stream(new Selected(Values.elements(render, input).iterator(), selects));
    }

    /// The elements that a test holds for, tested as they are asked for.
    private static final class Selected implements Iterator<Value> {
        private final Iterator<Value> elements;
        private final Predicate<Value> selects;
        private Value next;

        Selected(Iterator<Value> elements, Predicate<Value> selects) {
            this.elements = elements;
            this.selects = selects;
        }

        @Override
        public boolean hasNext() {
            while (next == null && elements.hasNext()) {
                Value element = elements.next();
                next = selects.test(element) ? element : null;
            }
            return next != null;
        }

        @Override
        public Value next() {
            if (!hasNext()) {
                throw new NoSuchElementException();
            }
            Value result = next;
            next = null;
            return result;
        }
    }
}
