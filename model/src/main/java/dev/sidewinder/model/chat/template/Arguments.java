package dev.sidewinder.model.chat.template;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

/// The arguments of one call.
record Arguments(List<Value> positional, Map<String, Value> named) {
    static final Arguments NONE = new Arguments(List.of(), Map.of());

    /// Assigns the arguments to parameters; null where the call gives none.
    ///
    /// @param callee for the message when they do not fit
    Value[] bind(String callee, String... parameters) {
        if (positional.size() > parameters.length) {
            throw new RenderException(callee + " takes at most " + parameters.length + " arguments, not " + positional.size());
        }
        Value[] bound = positional.toArray(new Value[parameters.length]);
        named.forEach((name, value) -> {
            int index = Arrays.asList(parameters).indexOf(name);
            if (index < 0) {
                throw new RenderException(callee + " has no argument '" + name + "'");
            }
            if (bound[index] != null) {
                throw new RenderException(callee + " got two values for '" + name + "'");
            }
            bound[index] = value;
        });
        return bound;
    }

    /// Like {@link #bind}, for a callee that needs its first `required` arguments.
    Value[] bindRequired(String callee, int required, String... parameters) {
        Value[] bound = bind(callee, parameters);
        for (int i = 0; i < required; i++) {
            if (bound[i] == null) {
                throw new RenderException(callee + " needs its argument '" + parameters[i] + "'");
            }
        }
        return bound;
    }

    Arguments withoutFirst(int count) {
        return new Arguments(positional.subList(count, positional.size()), named);
    }
}
