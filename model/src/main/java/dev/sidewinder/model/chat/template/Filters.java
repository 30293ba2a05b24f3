package dev.sidewinder.model.chat.template;

import java.util.HashMap;
import java.util.Map;

/// The filters by name.
final class Filters {
    interface Filter {
        Value apply(Render render, Value input, Arguments arguments);
    }

    private static final Map<String, Filter> FILTERS;

    static {
        Map<String, Filter> filters = new HashMap<>();
        TextFilters.addTo(filters);
        SequenceFilters.addTo(filters);
        SelectionFilters.addTo(filters);
        ValueFilters.addTo(filters);
        FILTERS = Map.copyOf(filters);
    }

    private Filters() {}

    static boolean knows(String name) {
        return FILTERS.containsKey(name);
    }

    static Value apply(Render render, String name, Value input, Arguments arguments) {
        Filter filter = FILTERS.get(name);
        if (filter == null) {
            throw new RenderException("there is no filter '" + name + "'");
        }
        return filter.apply(render, input, arguments);
    }
}
