package dev.sidewinder.model.chat;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;

/// Whether a value fits a JSON schema, read off the specification for the keywords that are enforced: the judge of tests, and
/// no part of what it judges.
final class SchemaCheck {

    private SchemaCheck() {}

    static boolean fits(JsonNode value, JsonNode schema, JsonNode document) {
        if (schema.isBoolean()) {
            return schema.booleanValue();
        }
        if (value.isNull() && schema.path("nullable").asBoolean(false)) {
            return true;
        }
        if (schema.has("$ref")) {
            return fits(value, document.at(schema.get("$ref").asText().substring(1)), document);
        }
        for (String any : List.of("anyOf", "oneOf", "allOf")) {
            if (schema.has(any)) {
                boolean found = false;
                for (JsonNode each : schema.get(any)) {
                    found |= fits(value, each, document);
                }
                return found;
            }
        }
        if (schema.has("type")) {
            boolean found = false;
            for (JsonNode type : schema.get("type").isArray() ? schema.get("type") : List.of(schema.get("type"))) {
                found |= switch (type.asText()) {
                    case "string" -> value.isTextual();
                    case "integer" -> value.isNumber() && value.decimalValue().stripTrailingZeros().scale() <= 0;
                    case "number" -> value.isNumber();
                    case "boolean" -> value.isBoolean();
                    case "null" -> value.isNull();
                    case "object" -> value.isObject();
                    default -> value.isArray();
                };
            }
            if (!found) {
                return false;
            }
        }
        if (schema.has("enum") && !listed(value, schema.get("enum")) || schema.has("const") && !same(value, schema.get("const"))) {
            return false;
        }
        return value.isObject() ? object(value, schema, document) : !value.isArray() || array(value, schema, document);
    }

    private static boolean listed(JsonNode value, JsonNode values) {
        for (JsonNode each : values) {
            if (same(value, each)) {
                return true;
            }
        }
        return false;
    }

    private static boolean same(JsonNode one, JsonNode other) {
        return one.equals((a, b) -> a.isNumber() && b.isNumber() ? a.decimalValue().compareTo(b.decimalValue()) : a.equals(b) ? 0 : 1, other);
    }

    private static boolean object(JsonNode value, JsonNode schema, JsonNode document) {
        for (JsonNode name : schema.path("required")) {
            if (!value.has(name.asText())) {
                return false;
            }
        }
        List<Boolean> fit = new ArrayList<>();
        value.properties().forEach(property -> {
            JsonNode known = schema.path("properties").path(property.getKey());
            JsonNode others = schema.path("additionalProperties");
            fit.add(!known.isMissingNode() ? fits(property.getValue(), known, document)
                    : others.isMissingNode() || fits(property.getValue(), others, document));
        });
        return !fit.contains(false);
    }

    private static boolean array(JsonNode value, JsonNode schema, JsonNode document) {
        if (value.size() < schema.path("minItems").asInt(0) || value.size() > schema.path("maxItems").asInt(Integer.MAX_VALUE)) {
            return false;
        }
        for (JsonNode item : value) {
            if (schema.has("items") && !fits(item, schema.get("items"), document)) {
                return false;
            }
        }
        return true;
    }
}
