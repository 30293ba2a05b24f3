package dev.sidewinder.model.chat;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/// What a parameter of a tool may be, by its JSON schema.
///
/// @param alternatives in the order the schema gives them, null left out
/// @param nullable     whether null is allowed too
record ArgumentType(List<Kind> alternatives, boolean nullable) {
    /// References and combinations nested deeper than this are not followed.
    private static final int DEEPEST = 32;
    private static final int MOST_SCHEMAS = 1_000;
    static final ArgumentType STRING = new ArgumentType(List.of(Kind.STRING), false);

    enum Kind {
        STRING, INTEGER, NUMBER, BOOLEAN, OBJECT, ARRAY, NULL
    }

    /// @param parameters the schema of all parameters; any JSON, for it comes from a client
    /// @param name       a parameter; one without a schema is a string
    static ArgumentType of(JsonNode parameters, String name) {
        JsonNode schema = parameters.path("properties").path(name);
        var walk = new Walk(parameters);
        walk.collect(schema, DEEPEST);
        Set<Kind> kinds = walk.kinds;
        boolean nullable = kinds.remove(Kind.NULL) || schema.path("nullable").asBoolean(false);
        if (kinds.isEmpty() && !nullable) {
            return STRING;
        }
        return new ArgumentType(List.copyOf(kinds), nullable);
    }

    /// Whether every text is a value, so that it can be sent while it comes.
    boolean isText() {
        return !alternatives.isEmpty() && alternatives.getFirst() == Kind.STRING;
    }

    /// Collects kinds. Schemas come from clients, and references can make a small one endless: the walk has a budget.
    private static final class Walk {
        private final JsonNode root;
        private final Set<Kind> kinds = new LinkedHashSet<>();
        private int budget = MOST_SCHEMAS;

        Walk(JsonNode root) {
            this.root = root;
        }

        void collect(JsonNode schema, int depth) {
            if (depth == 0 || budget-- <= 0) {
                return;
            }
            JsonNode type = schema.path("type");
            if (type.isTextual()) {
                kinds.add(kind(type.textValue()));
            } else if (type.isArray()) {
                type.forEach(each -> kinds.add(kind(each.asText())));
            } else if (schema.path("$ref").isTextual()) {
                collect(target(schema.path("$ref").textValue(), root), depth - 1);
            } else if (schema.has("enum")) {
                schema.path("enum").forEach(value -> kinds.add(kindOf(value)));
            } else if (schema.has("const")) {
                kinds.add(kindOf(schema.get("const")));
            } else if (schema.has("properties")) {
                kinds.add(Kind.OBJECT);
            } else if (schema.has("items")) {
                kinds.add(Kind.ARRAY);
            } else {
                for (String combination : List.of("anyOf", "oneOf", "allOf")) {
                    schema.path(combination).forEach(each -> collect(each, depth - 1));
                }
            }
        }
    }

    private static JsonNode target(String reference, JsonNode root) {
        boolean local = reference.startsWith("#/");
        return local ? root.at(reference.substring(1)) : root.path("");
    }

    /// Schemas of the wild also say `int`, `float`, `bool`, `dict`, `list`; whatever we do not know is text.
    private static Kind kind(String type) {
        String name = type.toLowerCase(Locale.ROOT);
        if (name.startsWith("int")) {
            return Kind.INTEGER;
        }
        if (name.startsWith("num") || name.startsWith("float") || name.equals("double")) {
            return Kind.NUMBER;
        }
        if (name.startsWith("bool")) {
            return Kind.BOOLEAN;
        }
        return switch (name) {
            case "object", "dict" -> Kind.OBJECT;
            case "array", "list" -> Kind.ARRAY;
            case "null", "none" -> Kind.NULL;
            default -> Kind.STRING;
        };
    }

    private static Kind kindOf(JsonNode value) {
        return switch (value.getNodeType()) {
            case NUMBER -> value.isIntegralNumber() ? Kind.INTEGER : Kind.NUMBER;
            case BOOLEAN -> Kind.BOOLEAN;
            case OBJECT -> Kind.OBJECT;
            case ARRAY -> Kind.ARRAY;
            case NULL -> Kind.NULL;
            case STRING, BINARY, MISSING, POJO -> Kind.STRING;
        };
    }
}
