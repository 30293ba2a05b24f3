package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/// Reads the fields of one request by the parameter table. `null` is the same as absent.
final class ParameterReader {

    private final Bounds bounds;
    private final Problems problems;
    private final Fields fields = new Fields();

    ParameterReader(Bounds bounds, Problems problems) {
        this.bounds = bounds;
        this.problems = problems;
    }

    /// @return the fields without mistakes; the mistakes are in `problems`
    Fields read(List<Parameter> parameters, ObjectNode body) {
        for (Parameter parameter : parameters) {
            read(parameter, parameter.name(), body.get(parameter.name()));
        }
        return fields;
    }

    private void read(Parameter parameter, String path, JsonNode value) {
        if (value == null || value.isNull()) {
            if (parameter.required()) {
                problems.missing(path);
            }
            return;
        }
        Optional<?> read = switch (parameter.type()) {
            case ParameterType.Flag _ -> flag(path, value);
            case ParameterType.Int type -> integer(path, value, type.min().resolve(bounds), type.max().resolve(bounds));
            case ParameterType.Decimal type -> decimal(path, value, type.min(), type.max());
            case ParameterType.Text type -> text(path, value, type.min(), type.max());
            case ParameterType.Word type -> word(path, value, type);
            case ParameterType.TextList type -> texts(path, value, type);
            case ParameterType.TokenIds type -> tokenIds(path, value, type);
            case ParameterType.LogitBias type -> logitBias(path, value, type);
            case ParameterType.Group type -> group(type, path, value);
            case ParameterType.Composite type -> composite(path, value, type);
            case ParameterType.Unused type -> unused(path, value, type);
            case ParameterType.Refused type -> refused(path, value, type);
        };
        read.ifPresent(found -> fields.put(path, found));
    }

    private Optional<Boolean> flag(String path, JsonNode value) {
        if (!value.isBoolean()) {
            problems.wrongType(path, "true or false");
            return Optional.empty();
        }
        return Optional.of(value.booleanValue());
    }

    private Optional<Long> integer(String path, JsonNode value, long min, long max) {
        if (!value.isNumber() || !isWhole(value)) {
            problems.wrongType(path, "an integer");
            return Optional.empty();
        }
        // what a long cannot hold is beyond every range, on the side of its sign
        boolean below = value.canConvertToLong() ? value.longValue() < min : value.doubleValue() < 0;
        boolean above = value.canConvertToLong() ? value.longValue() > max : value.doubleValue() > 0;
        if (below) {
            problems.add("integer_below_min_value", path, "'" + path + "' is below its minimum of " + min + ".");
        } else if (above) {
            problems.add("integer_above_max_value", path, "'" + path + "' is above its maximum of " + max + ".");
        }
        return below || above ? Optional.empty() : Optional.of(value.longValue());
    }

    private static boolean isWhole(JsonNode value) {
        return value.isIntegralNumber() || value.doubleValue() == Math.rint(value.doubleValue());
    }

    private Optional<Double> decimal(String path, JsonNode value, double min, double max) {
        if (!value.isNumber()) {
            problems.wrongType(path, "a number");
            return Optional.empty();
        }
        double number = value.doubleValue();
        if (number < min) {
            problems.add("decimal_below_min_value", path, "'" + path + "' is below its minimum of " + plain(min) + ".");
            return Optional.empty();
        }
        if (number > max) {
            problems.add("decimal_above_max_value", path, "'" + path + "' is above its maximum of " + plain(max) + ".");
            return Optional.empty();
        }
        return Optional.of(number);
    }

    static String plain(double number) {
        return number == Math.rint(number) ? String.valueOf((long) number) : String.valueOf(number);
    }

    private Optional<String> text(String path, JsonNode value, Bound min, Bound max) {
        if (!value.isTextual()) {
            problems.wrongType(path, "a string");
            return Optional.empty();
        }
        String text = value.textValue();
        return lengthFits(path, text, min.resolve(bounds), max.resolve(bounds)) ? Optional.of(text) : Optional.empty();
    }

    private boolean lengthFits(String path, String text, long min, long max) {
        int chars = text.codePointCount(0, text.length());
        if (chars < min) {
            problems.add("string_below_min_length", path, "'" + path + "' needs at least " + min + " characters.");
        } else if (chars > max) {
            problems.add("string_above_max_length", path, "'" + path + "' has " + chars + " characters; the maximum is "
                    + max + ".");
        }
        return chars >= min && chars <= max;
    }

    private boolean countFits(String path, int count, long min, long max) {
        if (count < min) {
            problems.add("array_below_min_length", path, "'" + path + "' needs at least " + min + " entries.");
        } else if (count > max) {
            problems.add("array_above_max_length", path, "'" + path + "' has " + count + " entries; the maximum is "
                    + max + ".");
        }
        return count >= min && count <= max;
    }

    private Optional<String> word(String path, JsonNode value, ParameterType.Word type) {
        if (!value.isTextual()) {
            problems.wrongType(path, "a string");
            return Optional.empty();
        }
        if (!type.values().contains(value.textValue())) {
            problems.add("invalid_value", path, "'" + path + "' must be one of " + String.join(", ", type.values()) + ".");
            return Optional.empty();
        }
        return Optional.of(value.textValue());
    }

    private Optional<List<String>> texts(String path, JsonNode value, ParameterType.TextList type) {
        long maxChars = type.chars().resolve(bounds);
        if (type.single() && value.isTextual()) {
            return lengthFits(path, value.textValue(), 1, maxChars) ? Optional.of(List.of(value.textValue()))
                    : Optional.empty();
        }
        if (!value.isArray()) {
            problems.wrongType(path, type.single() ? "a string or an array of strings" : "an array of strings");
            return Optional.empty();
        }
        if (!countFits(path, value.size(), 0, type.items().resolve(bounds))) {
            return Optional.empty();
        }
        List<String> texts = new ArrayList<>(value.size());
        for (int i = 0; i < value.size(); i++) {
            JsonNode item = value.get(i);
            String itemPath = path + "[" + i + "]";
            if (!item.isTextual()) {
                problems.wrongType(itemPath, "a string");
            } else if (lengthFits(itemPath, item.textValue(), 1, maxChars)) {
                texts.add(item.textValue());
            }
        }
        return Optional.of(List.copyOf(texts));
    }

    private Optional<List<Integer>> tokenIds(String path, JsonNode value, ParameterType.TokenIds type) {
        if (!value.isArray()) {
            problems.wrongType(path, "an array of token ids");
            return Optional.empty();
        }
        if (!countFits(path, value.size(), type.minItems().resolve(bounds), type.maxItems().resolve(bounds))) {
            return Optional.empty();
        }
        return tokenIds(path, value).map(ids -> {
            List<Integer> list = new ArrayList<>(ids.length);
            for (int id : ids) {
                list.add(id);
            }
            return List.copyOf(list);
        });
    }

    /// Reads token ids; stops at the first wrong one, there may be a million.
    Optional<int[]> tokenIds(String path, JsonNode array) {
        int[] ids = new int[array.size()];
        for (int i = 0; i < ids.length; i++) {
            JsonNode item = array.get(i);
            if (item.isInt() && item.intValue() >= 0 && item.intValue() < bounds.vocabSize()) {
                ids[i] = item.intValue();
                continue;
            }
            Optional<Long> id = integer(path + "[" + i + "]", item, 0, bounds.vocabSize() - 1L);
            if (id.isEmpty()) {
                return Optional.empty();
            }
            ids[i] = id.get().intValue();
        }
        return Optional.of(ids);
    }

    private Optional<Map<Integer, Float>> logitBias(String path, JsonNode value, ParameterType.LogitBias type) {
        if (!value.isObject()) {
            problems.wrongType(path, "an object from token id to number");
            return Optional.empty();
        }
        if (!countFits(path, value.size(), 0, type.entries().resolve(bounds))) {
            return Optional.empty();
        }
        Map<Integer, Float> biases = new LinkedHashMap<>();
        value.properties().forEach(entry -> {
            String entryPath = path + "." + Printable.cut(entry.getKey());
            Optional<Integer> id = decimalId(entry.getKey());
            if (id.isEmpty()) {
                problems.add("invalid_value", entryPath, "The keys of '" + path + "' are decimal token ids from 0 to "
                        + (bounds.vocabSize() - 1) + ".");
                return;
            }
            decimal(entryPath, entry.getValue(), type.min(), type.max())
                    .ifPresent(bias -> biases.put(id.get(), bias.floatValue()));
        });
        return Optional.of(Map.copyOf(biases));
    }

    /// `7`, but neither `07` nor `-7` nor `7e0`.
    private Optional<Integer> decimalId(String key) {
        boolean digits = !key.isEmpty() && key.length() <= 9 && key.chars().allMatch(c -> c >= '0' && c <= '9');
        if (!digits || (key.length() > 1 && key.charAt(0) == '0')) {
            return Optional.empty();
        }
        int id = Integer.parseInt(key);
        return id < bounds.vocabSize() ? Optional.of(id) : Optional.empty();
    }

    private Optional<JsonNode> group(ParameterType.Group type, String path, JsonNode value) {
        if (!value.isObject()) {
            problems.wrongType(path, "an object");
            return Optional.empty();
        }
        for (Parameter field : type.fields()) {
            read(field, path + "." + field.name(), value.get(field.name()));
        }
        return Optional.of(value);
    }

    private Optional<JsonNode> composite(String path, JsonNode value, ParameterType.Composite type) {
        if (type.shapes().stream().noneMatch(shape -> shape.matches(value))) {
            problems.wrongType(path, type.shapes().stream().sorted().map(ParameterType.Shape::label)
                    .collect(Collectors.joining(" or ")));
            return Optional.empty();
        }
        boolean fits = value.isTextual()
                || countFits(path, value.size(), type.min().resolve(bounds), type.max().resolve(bounds));
        return fits ? Optional.of(value) : Optional.empty();
    }

    private Optional<JsonNode> unused(String path, JsonNode value, ParameterType.Unused type) {
        long max = type.bytes().resolve(bounds);
        if (JsonSize.exceeds(value, max)) {
            problems.add("string_above_max_length", path, "'" + path + "' is larger than " + max + " bytes.");
            return Optional.empty();
        }
        return Optional.of(value);
    }

    private Optional<JsonNode> refused(String path, JsonNode value, ParameterType.Refused type) {
        if (!type.harmless().test(value)) {
            problems.add(type.code(), path, "'" + path + "': " + type.reason());
        }
        return Optional.empty();
    }
}
