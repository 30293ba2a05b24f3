package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;

/// The fields of a request that were there and passed the table, by name (`stream_options.include_usage` for nested
/// ones). A name the table does not have for this route is never here.
final class Fields {

    private final Map<String, Object> values = new LinkedHashMap<>();

    void put(String name, Object value) {
        values.put(name, value);
    }

    boolean has(String name) {
        return values.containsKey(name);
    }

    boolean isFlag(String name) {
        return values.get(name) instanceof Boolean;
    }

    boolean flag(String name, boolean standard) {
        return (Boolean) values.getOrDefault(name, standard);
    }

    Optional<Boolean> flag(String name) {
        return Optional.ofNullable((Boolean) values.get(name));
    }

    OptionalInt integer(String name) {
        Long value = (Long) values.get(name);
        return value == null ? OptionalInt.empty() : OptionalInt.of(Math.toIntExact(value));
    }

    int integer(String name, int standard) {
        return integer(name).orElse(standard);
    }

    OptionalLong longInteger(String name) {
        Long value = (Long) values.get(name);
        return value == null ? OptionalLong.empty() : OptionalLong.of(value);
    }

    OptionalDouble decimal(String name) {
        Double value = (Double) values.get(name);
        return value == null ? OptionalDouble.empty() : OptionalDouble.of(value);
    }

    double decimal(String name, double standard) {
        return decimal(name).orElse(standard);
    }

    Optional<String> text(String name) {
        return Optional.ofNullable((String) values.get(name));
    }

    @SuppressWarnings("unchecked") // ParameterReader puts lists of strings under TextList names
    List<String> texts(String name) {
        return (List<String>) values.getOrDefault(name, List.of());
    }

    @SuppressWarnings("unchecked") // ParameterReader puts lists of ids under TokenIds names
    List<Integer> tokenIds(String name) {
        return (List<Integer>) values.getOrDefault(name, List.of());
    }

    @SuppressWarnings("unchecked") // ParameterReader puts such a map under LogitBias names
    Map<Integer, Float> logitBias(String name) {
        return (Map<Integer, Float>) values.getOrDefault(name, Map.of());
    }

    /// A composite value as it came.
    Optional<JsonNode> json(String name) {
        return Optional.ofNullable((JsonNode) values.get(name));
    }
}
