package dev.sidewinder.model.chat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.model.grammar.ByteSet;
import dev.sidewinder.model.grammar.Expression;
import dev.sidewinder.model.grammar.Expressions;
import dev.sidewinder.model.grammar.GrammarException;
import dev.sidewinder.model.grammar.GrammarException.Kind;
import dev.sidewinder.model.grammar.JsonSchema;
import dev.sidewinder.model.grammar.JsonText;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// The parameters of a strict tool: the names of its schema, each at most once and in any order, the required ones at least
/// once; and values that [ArgumentConverter] turns into JSON that fits the schema.
final class StrictParameters {
    private static final Set<String> KEYWORDS = Set.of("type", "properties", "required", "additionalProperties", "$defs",
            "definitions", "title", "description", "default", "examples", "$schema", "$id", "$comment", "deprecated", "readOnly",
            "writeOnly");
    private static final int DEEPEST_ALTERNATIVES = 24;
    /// References can make a small schema name more alternatives than could ever be looked at.
    private static final int MOST_ALTERNATIVES = 1_000;
    /// What may be taken for white space around a value: more than is, as some of it is not ASCII.
    private static final ByteSet SPACE = ByteSet.of(" \t\n\r\f\u000B").or(ByteSet.range(0x1C, 0x1F)).or(ByteSet.range(128, 255));

    private record Remaining(String tool, BitSet keys) {}

    private final Expressions make;
    private final CallText text;
    private final CallableTool tool;
    private final Expression end;
    private final JsonText json;
    private final JsonSchema schemas;
    private final List<String> keys = new ArrayList<>();
    private final List<Expression> values = new ArrayList<>();
    private final BitSet required = new BitSet();
    /// Schemas looked at for the alternatives of one parameter.
    private int looked;

    /// @param end what ends the call
    /// @throws GrammarException when the schema has what cannot be enforced
    StrictParameters(Expressions make, CallText text, JsonText json, CallableTool tool, Expression end) {
        this.make = make;
        this.text = text;
        this.tool = tool;
        this.end = end;
        this.json = json;
        JsonNode parameters = tool.parameters();
        schemas = new JsonSchema(make, json, parameters);
        if (!parameters.isObject()) {
            return;
        }
        parameters.properties().forEach(property -> {
            if (!KEYWORDS.contains(property.getKey())) {
                throw refused("parameters: '" + JsonSchema.shown(property.getKey()) + "' cannot be enforced");
            }
        });
        if (parameters.toString().contains(CallText.PARAMETER_END)) {
            throw refused("parameters: a schema that holds " + CallText.PARAMETER_END + " cannot be enforced");
        }
        JsonNode type = parameters.path("type");
        if (!type.isMissingNode() && !type.asText().equals("object")) {
            throw new GrammarException(Kind.INVALID, "parameters.type: must be object");
        }
        Set<String> needed = JsonSchema.required(parameters, "parameters");
        parameters.path("properties").properties().forEach(property -> keys.add(property.getKey()));
        needed.stream().filter(name -> !keys.contains(name)).forEach(keys::add);
        for (int i = 0; i < keys.size(); i++) {
            String key = keys.get(i);
            if (key.isEmpty() || key.indexOf('>') >= 0 || key.indexOf('\n') >= 0 || key.length() >= ToolCallReader.LONGEST_KEY) {
                throw refused("parameters.properties: a call cannot name the parameter at place " + i);
            }
            values.add(value(key));
            required.set(i, needed.contains(key));
        }
    }

    private static GrammarException refused(String message) {
        return new GrammarException(Kind.UNSUPPORTED, message);
    }

    /// From behind the name of the function to the end of the call.
    Expression expression() {
        BitSet all = new BitSet();
        all.set(0, keys.size());
        return deferred(all);
    }

    private Expression deferred(BitSet remaining) {
        return make.deferred(new Remaining(tool.name(), remaining), () -> behind(remaining));
    }

    private Expression behind(BitSet remaining) {
        List<Expression> next = new ArrayList<>();
        for (int i = remaining.nextSetBit(0); i >= 0; i = remaining.nextSetBit(i + 1)) {
            BitSet rest = (BitSet) remaining.clone();
            rest.clear(i);
            next.add(make.sequence(make.text(keys.get(i)), text.fromKeyEnd(values.get(i)), deferred(rest)));
        }
        Expression parameter = make.sequence(make.text(CallText.PARAMETER), make.anyOf(next));
        return required.intersects(remaining) ? parameter : make.anyOf(parameter, end);
    }

    // ---- values

    /// What a schema allows for one kind of value.
    ///
    /// @param bound whether it allows only some of them
    private record Texts(Expression expression, boolean bound) {}

    private Expression value(String key) {
        String path = "parameters.properties." + JsonSchema.shown(key);
        ArgumentType type = ArgumentType.of(tool.parameters(), key);
        Map<ArgumentType.Kind, Texts> kinds = new EnumMap<>(ArgumentType.Kind.class);
        JsonNode schema = tool.parameters().path("properties").path(key);
        looked = 0;
        if (schema.isMissingNode() || !collect(schema, path, kinds, 0)) {
            return text.value();
        }
        Expression expression = make.nothing();
        List<Expression> converted = new ArrayList<>();
        for (ArgumentType.Kind kind : type.alternatives()) {
            Texts texts = kinds.getOrDefault(kind, new Texts(make.nothing(), true));
            boolean string = kind == ArgumentType.Kind.STRING;
            Expression taken = string ? make.allOf(texts.expression(), make.not(make.anyOf(converted))) : texts.expression();
            expression = make.anyOf(expression, taken);
            if (string) {
                // every text is one, so nothing that comes after it is ever meant
                break;
            }
            if (texts.bound()) {
                converted.add(looksLike(kind));
            }
        }
        Expression none = make.anyOf(make.text("null"), make.text("None"));
        if (kinds.containsKey(ArgumentType.Kind.NULL) || schema.path("nullable").asBoolean(false)) {
            expression = make.anyOf(expression, none);
        } else if (type.nullable()) {
            // it would be read as null, which no schema of these takes
            expression = make.allOf(expression, make.not(make.sequence(space(), none, space())));
        }
        if (expression == make.nothing()) {
            throw new GrammarException(Kind.INVALID, path + ": no value fits this schema");
        }
        return expression;
    }

    /// Texts that may be converted to a kind, and some more: a string must not look like that where the kind is bound.
    private Expression looksLike(ArgumentType.Kind kind) {
        Expression anything = make.anything();
        Expression space = space();
        return switch (kind) {
            case INTEGER, NUMBER -> make.allOf(
                    make.repeat(make.oneOf(ByteSet.of("0123456789+-.eE").or(SPACE))),
                    make.sequence(anything, make.oneOf(ByteSet.range('0', '9')), anything));
            case BOOLEAN -> make.sequence(space, make.anyOf(ignoringCase("true"), ignoringCase("false")), space);
            case OBJECT -> make.sequence(space, make.text("{"), anything);
            case ARRAY -> make.sequence(space, make.oneOf(ByteSet.of("[(")), anything);
            case STRING, NULL -> throw new IllegalStateException(kind + " takes no text from a string");
        };
    }

    private Expression space() {
        return make.repeat(make.oneOf(SPACE));
    }

    private Expression ignoringCase(String word) {
        Expression[] letters = new Expression[word.length()];
        for (int i = 0; i < letters.length; i++) {
            letters[i] = make.oneOf(ByteSet.of(word.charAt(i)).or(ByteSet.of(Character.toUpperCase(word.charAt(i)))));
        }
        return make.sequence(letters);
    }

    /// Gathers what a schema and the schemas it combines allow, kind by kind.
    ///
    /// @return whether it says anything about the kind
    private boolean collect(JsonNode schema, String path, Map<ArgumentType.Kind, Texts> kinds, int depth) {
        if (++looked > MOST_ALTERNATIVES) {
            throw new GrammarException(Kind.TOO_COMPLEX, path + ": it has more than " + MOST_ALTERNATIVES + " alternatives");
        }
        if (depth > DEEPEST_ALTERNATIVES) {
            throw refused(path + ": '$ref' that leads back to itself");
        }
        JsonSchema.check(schema, path);
        List<JsonNode> alternatives = schemas.alternatives(schema, path);
        if (!alternatives.isEmpty()) {
            for (JsonNode alternative : alternatives) {
                collect(alternative, path, kinds, depth + 1);
            }
            return true;
        }
        List<String> types = JsonSchema.types(schema, path);
        if (types.isEmpty() && depth > 0) {
            throw refused(path + ": an alternative without a type");
        }
        for (String type : types) {
            add(kinds, type, texts(schema, type, path));
        }
        return !types.isEmpty();
    }

    private void add(Map<ArgumentType.Kind, Texts> kinds, String type, Texts texts) {
        if (texts.expression() != make.nothing()) {
            kinds.merge(ArgumentType.Kind.valueOf(type.toUpperCase(Locale.ROOT)), texts,
                    (one, other) -> new Texts(make.anyOf(one.expression(), other.expression()), one.bound() && other.bound()));
        }
    }

    private Texts texts(JsonNode schema, String type, String path) {
        boolean listed = schema.has("enum") || schema.has("const");
        if (listed) {
            return new Texts(listed(schema, type, path), true);
        }
        return switch (type) {
            case "string" -> new Texts(text.value(), false);
            case "boolean" -> new Texts(make.anyOf(make.text("true"), make.text("false"), make.text("True"), make.text("False")), false);
            case "null" -> new Texts(make.anyOf(make.text("null"), make.text("None")), false);
            case "integer", "number" -> new Texts(schemas.ofType(schema, type, path), false);
            default -> new Texts(make.allOf(schemas.ofType(schema, type, path), text.value()), true);
        };
    }

    /// The listed values of one type, as the call writes them: only those that are read back as what they are.
    private Expression listed(JsonNode schema, String type, String path) {
        List<Expression> texts = new ArrayList<>();
        for (JsonNode value : JsonSchema.listed(schema, path)) {
            if (!JsonSchema.isOf(value, type)) {
                continue;
            }
            String raw = value.isTextual() ? value.textValue() : value.toString();
            boolean container = value.isContainerNode();
            if (!CallText.isValue(raw) || !container && !isReadBack(raw, value, type)) {
                throw refused(path + ".enum: a call cannot write one of these values");
            }
            texts.add(container ? make.allOf(json.literal(value), text.value()) : make.text(raw));
        }
        return make.anyOf(texts);
    }

    private static boolean isReadBack(String raw, JsonNode value, String type) {
        if (value.isNull()) {
            return true;
        }
        var kind = ArgumentType.Kind.valueOf(type.toUpperCase(Locale.ROOT));
        Optional<String> read = ArgumentConverter.convert(raw, new ArgumentType(List.of(kind), false));
        return read.isPresent() && read.get().equals(value.isTextual() ? ArgumentConverter.quoted(raw) : raw);
    }
}
