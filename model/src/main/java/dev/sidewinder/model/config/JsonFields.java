package dev.sidewinder.model.config;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.model.checkpoint.CheckpointException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// The fields of one JSON object, read with a check on each. Every error names file and field, what was found and what
/// was expected.
///
/// A field may have several spellings; the first one that is present and not null counts.
final class JsonFields {

    private final String file;
    private final String path;
    private final JsonNode object;

    JsonFields(String file, String path, JsonNode object) {
        this.file = file;
        this.path = path;
        this.object = object;
        if (!object.isObject()) {
            throw new CheckpointException(file + ": " + (path.isEmpty() ? "the document" : '"' + path + '"') + " is "
                    + describe(object) + "; expected a JSON object");
        }
    }

    /// The first spelling whose value is there and not null.
    Optional<Field> find(String... spellings) {
        for (String spelling : spellings) {
            JsonNode value = object.get(spelling);
            if (value != null && !value.isNull()) {
                return Optional.of(new Field(spelling, value));
            }
        }
        return Optional.empty();
    }

    int integer(int least, int most, String... spellings) {
        return toInt(require("an integer in [" + least + ", " + most + "]", spellings), least, most);
    }

    int integerOr(int otherwise, int least, int most, String... spellings) {
        return find(spellings).map(field -> toInt(field, least, most)).orElse(otherwise);
    }

    /// A positive finite number.
    double positive(String... spellings) {
        return toPositive(require("a positive number", spellings));
    }

    double numberOr(double otherwise, double least, double most, String... spellings) {
        Optional<Field> field = find(spellings);
        if (field.isEmpty()) {
            return otherwise;
        }
        double value = field.get().value().isNumber() ? field.get().value().doubleValue() : Double.NaN;
        if (!(value >= least && value <= most)) {
            throw refuse(field.get(), "a number in [" + least + ", " + most + "]");
        }
        return value;
    }

    boolean flagOr(boolean otherwise, String... spellings) {
        Optional<Field> field = find(spellings);
        if (field.isPresent() && !field.get().value().isBoolean()) {
            throw refuse(field.get(), "true or false");
        }
        return field.map(found -> found.value().booleanValue()).orElse(otherwise);
    }

    String text(String... spellings) {
        Field field = require("a string", spellings);
        if (!field.value().isTextual()) {
            throw refuse(field, "a string");
        }
        return field.value().textValue();
    }

    /// One integer or a list of them; empty when the field is missing or null.
    List<Integer> integers(int least, int most, String... spellings) {
        Optional<Field> field = find(spellings);
        if (field.isEmpty()) {
            return List.of();
        }
        if (!field.get().value().isArray()) {
            return List.of(toInt(field.get(), least, most));
        }
        var values = new ArrayList<Integer>();
        for (Field item : items(field.get())) {
            values.add(toInt(item, least, most));
        }
        return values;
    }

    /// The elements of a list, each with its place in its name.
    List<Field> items(Field list) {
        if (!list.value().isArray()) {
            throw refuse(list, "a list");
        }
        var items = new ArrayList<Field>(list.value().size());
        for (JsonNode value : list.value()) {
            items.add(new Field(list.name() + "[" + items.size() + "]", value));
        }
        return items;
    }

    JsonFields object(Field field) {
        if (!field.value().isObject()) {
            throw refuse(field, "a JSON object");
        }
        return new JsonFields(file, qualified(field.name()), field.value());
    }

    Field require(String expected, String... spellings) {
        return find(spellings).orElseThrow(() -> new CheckpointException(file + ": \"" + qualified(spellings[0]) + '"'
                + (spellings.length == 1 ? "" : " (or " + String.join(", ", List.of(spellings).subList(1,
                        spellings.length)) + ")")
                + (isNull(spellings) ? " is null" : " is missing") + "; expected " + expected));
    }

    CheckpointException refuse(Field field, String expected) {
        return new CheckpointException(file + ": \"" + qualified(field.name()) + "\" is " + describe(field.value())
                + "; expected " + expected);
    }

    String file() {
        return file;
    }

    JsonNode node() {
        return object;
    }

    private boolean isNull(String... spellings) {
        for (String spelling : spellings) {
            if (object.has(spelling)) {
                return true;
            }
        }
        return false;
    }

    private int toInt(Field field, int least, int most) {
        JsonNode value = field.value();
        if (!value.isIntegralNumber() || !value.canConvertToInt() || value.intValue() < least
                || value.intValue() > most) {
            throw refuse(field, "an integer in [" + least + ", " + most + "]");
        }
        return value.intValue();
    }

    private double toPositive(Field field) {
        double value = field.value().isNumber() ? field.value().doubleValue() : Double.NaN;
        if (!(value > 0) || Double.isInfinite(value)) {
            throw refuse(field, "a positive number");
        }
        return value;
    }

    private String qualified(String name) {
        return path.isEmpty() ? name : path + "." + name;
    }

    private static String describe(JsonNode value) {
        String text = value.toString();
        return text.length() <= 80 ? text : text.substring(0, 80) + "…";
    }

    /// A value and the spelling it was found under.
    record Field(String name, JsonNode value) {}
}
