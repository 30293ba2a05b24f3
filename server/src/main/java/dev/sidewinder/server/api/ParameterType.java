package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;

/// What a field may hold. [ParameterReader] reads each kind, [ParameterSchema] describes it.
public sealed interface ParameterType {

    /// `true` or `false`.
    record Flag() implements ParameterType {}

    /// A whole number; `5.0` is one.
    record Int(Bound min, Bound max) implements ParameterType {}

    record Decimal(double min, double max) implements ParameterType {}

    /// A string; bounds in characters.
    record Text(Bound min, Bound max) implements ParameterType {}

    /// One of a few strings.
    record Word(List<String> values) implements ParameterType {}

    /// A list of strings of at least one character.
    ///
    /// @param single whether one string alone is accepted too
    record TextList(Bound items, Bound chars, boolean single) implements ParameterType {}

    /// A list of token ids, each below the vocabulary's size.
    record TokenIds(Bound minItems, Bound maxItems) implements ParameterType {}

    /// An object from token id (as a string) to a number.
    record LogitBias(Bound entries, double min, double max) implements ParameterType {}

    /// An object whose fields are parameters themselves, named `parent.child`.
    record Group(List<Parameter> fields) implements ParameterType {}

    /// Something with a reader of its own; the table checks its JSON type and its length.
    ///
    /// @param min entries of an array or object at least
    /// @param max entries at most
    record Composite(Set<Shape> shapes, Bound min, Bound max) implements ParameterType {}

    /// Accepted whatever it is, up to a size, and not used.
    record Unused(Bound bytes) implements ParameterType {}

    /// Refused, unless the value asks for what happens anyway.
    record Refused(String code, String reason, Predicate<JsonNode> harmless) implements ParameterType {}

    /// JSON types.
    enum Shape {
        STRING("a string"), ARRAY("an array"), OBJECT("an object");

        private final String label;

        Shape(String label) {
            this.label = label;
        }

        String label() {
            return label;
        }

        boolean matches(JsonNode value) {
            return switch (this) {
                case STRING -> value.isTextual();
                case ARRAY -> value.isArray();
                case OBJECT -> value.isObject();
            };
        }
    }
}
