package dev.sidewinder.model.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.model.grammar.GrammarException.Kind;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/// JSON schemas as expressions: the texts of the values that fit. What is not offered is refused by name, never passed over.
///
/// Properties come in the order of the schema, and only those it declares; where it declares none, any. References within the
/// document are followed, recursive ones as deep as [#DEEPEST].
public final class JsonSchema {
    /// Values nested deeper than this do not come.
    static final int DEEPEST = 24;

    private static final int MOST_ITEMS = 1_024;
    private static final Set<String> NOTES = Set.of("title", "description", "default", "examples", "$schema", "$id", "$comment",
            "deprecated", "readOnly", "writeOnly", "$defs", "definitions");
    private static final Set<String> ASSERTIONS = Set.of("type", "enum", "const", "properties", "required",
            "additionalProperties", "items", "minItems", "maxItems");
    private static final Set<String> COMBINATIONS = Set.of("anyOf", "oneOf", "allOf", "$ref");
    private static final List<String> TYPES = List.of("string", "integer", "number", "boolean", "null", "object", "array");

    private final Expressions make;
    private final JsonText json;
    private final JsonNode document;
    private final List<Map<JsonNode, Expression>> known = new ArrayList<>();

    /// @param document what references point into
    public JsonSchema(Expressions make, JsonText json, JsonNode document) {
        this.make = make;
        this.json = json;
        this.document = document;
        for (int depth = 0; depth <= DEEPEST; depth++) {
            known.add(new IdentityHashMap<>());
        }
    }

    /// The values that fit a schema.
    ///
    /// @param path of the schema in its document, for refusals
    /// @throws GrammarException when it has what is not offered, or nothing can fit
    public Expression values(JsonNode schema, String path) {
        Expression expression = values(schema, path, 0);
        if (expression == make.nothing()) {
            throw new GrammarException(Kind.INVALID, path + ": no value fits this schema");
        }
        return expression;
    }

    private Expression values(JsonNode schema, String path, int depth) {
        if (depth > DEEPEST) {
            return make.nothing();
        }
        Expression expression = known.get(depth).get(schema);
        if (expression == null) {
            expression = made(schema, path, depth);
            known.get(depth).put(schema, expression);
        }
        return expression;
    }

    private Expression made(JsonNode schema, String path, int depth) {
        if (schema.isBoolean()) {
            return schema.booleanValue() ? json.any() : make.nothing();
        }
        check(schema, path);
        List<JsonNode> alternatives = alternatives(schema, path);
        Expression expression = alternatives.isEmpty() ? leaf(schema, path, depth) : combination(alternatives, path, depth);
        return schema.path("nullable").asBoolean(false) ? make.anyOf(expression, json.none()) : expression;
    }

    /// Refuses what is not offered.
    ///
    /// @throws GrammarException that names it
    public static void check(JsonNode schema, String path) {
        if (!schema.isObject()) {
            throw new GrammarException(Kind.INVALID, path + ": a schema must be an object");
        }
        var assertions = new TreeSet<String>();
        String combination = null;
        for (var property : schema.properties()) {
            String keyword = property.getKey();
            if (COMBINATIONS.contains(keyword)) {
                if (combination != null) {
                    throw refused(path, combination + " beside " + keyword);
                }
                combination = keyword;
            } else if (ASSERTIONS.contains(keyword)) {
                assertions.add(keyword);
            } else if (!NOTES.contains(keyword) && !keyword.equals("nullable")) {
                throw refused(path, shown(keyword));
            }
        }
        if (combination != null && !assertions.isEmpty()) {
            throw refused(path, combination + " beside " + assertions.first());
        }
    }

    private static GrammarException refused(String path, String what) {
        return new GrammarException(Kind.UNSUPPORTED, path + ": '" + what + "' cannot be enforced");
    }

    /// The schemas of which one must fit, where the schema combines others; empty where it does not.
    ///
    /// @throws GrammarException for a combination that is not offered
    public List<JsonNode> alternatives(JsonNode schema, String path) {
        if (schema.path("$ref").isTextual()) {
            return List.of(target(schema.get("$ref").textValue(), path));
        }
        for (String keyword : List.of("anyOf", "oneOf", "allOf")) {
            JsonNode schemas = schema.get(keyword);
            if (schemas != null) {
                if (!schemas.isArray() || schemas.isEmpty()) {
                    throw new GrammarException(Kind.INVALID, path + "." + keyword + ": must be an array of schemas");
                }
                if (keyword.equals("allOf") && schemas.size() > 1) {
                    throw refused(path, "allOf of several");
                }
                List<JsonNode> list = new ArrayList<>();
                schemas.forEach(list::add);
                return list;
            }
        }
        return List.of();
    }

    private JsonNode target(String reference, String path) {
        JsonNode target = reference.equals("#") ? document
                : reference.startsWith("#/") ? document.at(reference.substring(1)) : document.path("");
        if (target.isMissingNode()) {
            throw new GrammarException(Kind.INVALID, path + ": '$ref' points to nothing in this schema: " + shown(reference));
        }
        return target;
    }

    /// A client's text as a message may carry it: printable, and short.
    public static String shown(String text) {
        String shown = text.replaceAll("[^ -~]", "?");
        return shown.length() > 80 ? shown.substring(0, 80) + "…" : shown;
    }

    private Expression leaf(JsonNode schema, String path, int depth) {
        List<Expression> types = new ArrayList<>();
        for (String type : types(schema, path)) {
            types.add(ofType(schema, type, path, depth));
        }
        return types.isEmpty() ? json.any() : make.anyOf(types);
    }

    private Expression combination(List<JsonNode> alternatives, String path, int depth) {
        List<Expression> expressions = new ArrayList<>();
        for (JsonNode alternative : alternatives) {
            expressions.add(values(alternative, path, depth + 1));
        }
        return make.anyOf(expressions);
    }

    /// The types a schema names; where it names none, those its other keywords speak of. Empty = any.
    ///
    /// @throws GrammarException for a type that there is not
    public static List<String> types(JsonNode schema, String path) {
        List<String> types = new ArrayList<>();
        JsonNode type = schema.path("type");
        if (type.isTextual()) {
            types.add(type.textValue());
        } else if (type.isArray()) {
            type.forEach(each -> types.add(each.asText()));
        } else if (!type.isMissingNode()) {
            throw new GrammarException(Kind.INVALID, path + ".type: must be a string or an array of strings");
        } else if (schema.has("enum") || schema.has("const")) {
            types.addAll(TYPES);
        } else if (schema.has("properties") || schema.has("required") || schema.has("additionalProperties")) {
            types.add("object");
        } else if (schema.has("items") || schema.has("minItems") || schema.has("maxItems")) {
            types.add("array");
        }
        for (String each : types) {
            if (!TYPES.contains(each)) {
                throw new GrammarException(Kind.INVALID, path + ".type: '" + shown(each) + "' is no type of JSON schema");
            }
        }
        return types;
    }

    /// The values of one type that fit the keywords of this schema itself.
    public Expression ofType(JsonNode schema, String type, String path) {
        return ofType(schema, type, path, 0);
    }

    private Expression ofType(JsonNode schema, String type, String path, int depth) {
        if (schema.has("enum") || schema.has("const")) {
            List<Expression> literals = new ArrayList<>();
            for (JsonNode value : listed(schema, path)) {
                if (isOf(value, type)) {
                    literals.add(json.literal(value));
                }
            }
            return make.anyOf(literals);
        }
        return switch (type) {
            case "string" -> json.string();
            case "integer" -> json.integer();
            case "number" -> json.number();
            case "boolean" -> json.bool();
            case "null" -> json.none();
            case "object" -> object(schema, path, depth);
            case "array" -> array(schema, path, depth);
            default -> throw new IllegalStateException("type " + type + " was not checked");
        };
    }

    /// The values of `enum` or `const`.
    public static List<JsonNode> listed(JsonNode schema, String path) {
        List<JsonNode> values = new ArrayList<>();
        if (schema.has("const")) {
            values.add(schema.get("const"));
        } else if (!schema.path("enum").isArray()) {
            throw new GrammarException(Kind.INVALID, path + ".enum: must be an array");
        } else {
            schema.get("enum").forEach(values::add);
        }
        if (schema.has("const") && schema.has("enum")) {
            throw refused(path, "const beside enum");
        }
        return values;
    }

    /// Whether a value has a type.
    public static boolean isOf(JsonNode value, String type) {
        return switch (type) {
            case "string" -> value.isTextual();
            case "integer" -> value.isIntegralNumber();
            case "number" -> value.isNumber();
            case "boolean" -> value.isBoolean();
            case "null" -> value.isNull();
            case "object" -> value.isObject();
            case "array" -> value.isArray();
            default -> false;
        };
    }

    private Expression object(JsonNode schema, String path, int depth) {
        JsonNode others = schema.path("additionalProperties");
        Set<String> required = required(schema, path);
        JsonNode properties = schema.path("properties");
        if (!properties.isMissingNode() && !properties.isObject()) {
            throw new GrammarException(Kind.INVALID, path + ".properties: must be an object");
        }
        List<String> names = new ArrayList<>();
        properties.properties().forEach(property -> names.add(property.getKey()));
        required.stream().filter(name -> !names.contains(name)).forEach(names::add);
        boolean open = !(others.isBoolean() && !others.booleanValue());
        if (names.isEmpty() && open) {
            return json.map(others.isObject() ? values(others, path + ".additionalProperties", depth + 1) : json.any());
        }
        List<String> kept = new ArrayList<>();
        List<Expression> values = new ArrayList<>();
        List<Boolean> needed = new ArrayList<>();
        for (String name : names) {
            JsonNode property = properties.has(name) ? properties.get(name) : others;
            Expression value = property.isMissingNode() ? json.any()
                    : values(property, path + ".properties." + shown(name), depth + 1);
            // one that can never be there: too deep, or nothing fits
            if (value != make.nothing() || required.contains(name)) {
                kept.add(name);
                values.add(value);
                needed.add(required.contains(name));
            }
        }
        return json.object(kept, values, needed);
    }

    /// The names that `required` lists.
    public static Set<String> required(JsonNode schema, String path) {
        JsonNode required = schema.path("required");
        if (!required.isMissingNode() && !required.isArray()) {
            throw new GrammarException(Kind.INVALID, path + ".required: must be an array of strings");
        }
        Set<String> names = new TreeSet<>();
        required.forEach(name -> {
            if (!name.isTextual()) {
                throw new GrammarException(Kind.INVALID, path + ".required: must be an array of strings");
            }
            names.add(name.textValue());
        });
        return names;
    }

    private Expression array(JsonNode schema, String path, int depth) {
        int least = count(schema, "minItems", 0, path);
        int most = count(schema, "maxItems", Integer.MAX_VALUE, path);
        if (most < least) {
            return make.nothing();
        }
        Expression item = schema.has("items") ? values(schema.get("items"), path + ".items", depth + 1) : json.any();
        return json.array(item, least, item == make.nothing() && least == 0 ? 0 : most);
    }

    private static int count(JsonNode schema, String keyword, int standard, String path) {
        JsonNode count = schema.path(keyword);
        if (count.isMissingNode()) {
            return standard;
        }
        if (!count.isIntegralNumber() || count.asLong() < 0) {
            throw new GrammarException(Kind.INVALID, path + "." + keyword + ": must be an integer from 0 on");
        }
        if (count.asLong() > MOST_ITEMS) {
            throw new GrammarException(Kind.TOO_COMPLEX, path + "." + keyword + ": " + MOST_ITEMS + " items are counted at most");
        }
        return count.intValue();
    }
}
