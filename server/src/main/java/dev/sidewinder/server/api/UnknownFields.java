package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/// Fields that a route does not know: they are ignored, and the answer says so in a header.
public final class UnknownFields {

    private static final int MAX_NAMED = 16;
    /// A header is bounded; a longer name is counted and not spelled.
    private static final int MAX_NAME_CHARS = 64;
    private static final Map<Endpoint, Set<String>> KNOWN = new EnumMap<>(Endpoint.class);

    static {
        for (Endpoint endpoint : Endpoint.values()) {
            KNOWN.put(endpoint, ParameterTable.of(endpoint).stream().map(Parameter::name).collect(Collectors.toSet()));
        }
    }

    private UnknownFields() {}

    static List<String> of(Endpoint endpoint, ObjectNode body) {
        Set<String> known = KNOWN.get(endpoint);
        return body.properties().stream().map(Map.Entry::getKey).filter(name -> !known.contains(name)).toList();
    }

    /// The value of `x-sidewinder-ignored`: up to 16 names, and `+N` for the others. Names with other characters than
    /// `[A-Za-z0-9_.-]` are only counted.
    ///
    /// @param ignored at least one name
    public static String header(List<String> ignored) {
        List<String> named = ignored.stream().filter(UnknownFields::isPlain).limit(MAX_NAMED).toList();
        int others = ignored.size() - named.size();
        String names = String.join(",", named);
        if (others == 0) {
            return names;
        }
        return names.isEmpty() ? "+" + others : names + ",+" + others;
    }

    private static boolean isPlain(String name) {
        return name.length() <= MAX_NAME_CHARS && ToolName.isValid(name);
    }
}
