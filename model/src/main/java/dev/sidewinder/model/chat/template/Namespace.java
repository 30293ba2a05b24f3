package dev.sidewinder.model.chat.template;

import java.util.LinkedHashMap;
import java.util.Map;

/// The one value that templates change: `{% set ns.name = … %}`.
final class Namespace implements Value {
    private final Map<String, Value> attributes = new LinkedHashMap<>();

    /// null when there is none.
    Value get(String name) {
        return attributes.get(name);
    }

    void set(String name, Value value) {
        attributes.put(name, value);
    }

    Map<String, Value> attributes() {
        return attributes;
    }

    @Override
    public String typeName() {
        return "Namespace";
    }
}
