package dev.sidewinder.model.chat.template;

import java.util.HashMap;
import java.util.Map;

/// Variables of a block, and the blocks around it. Blocks read outwards and write to themselves.
final class Scope {
    private final Scope outer;
    private final Map<String, Value> variables = new HashMap<>();

    Scope(Scope outer) {
        this.outer = outer;
    }

    /// null when nobody set it.
    Value get(String name) {
        for (Scope scope = this; scope != null; scope = scope.outer) {
            Value value = scope.variables.get(name);
            if (value != null) {
                return value;
            }
        }
        return null;
    }

    void set(String name, Value value) {
        variables.put(name, value);
    }
}
