package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.EnumMap;
import java.util.Map;
import java.util.TreeSet;

/// Describes request bodies and errors as JSON schemas (OpenAPI 3.1), from the parameter table and the limits in force.
public final class OpenApiSchemas {

    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    private final Bounds bounds;

    public OpenApiSchemas(ApiLimits limits, int maxModelTokens, int vocabSize) {
        this.bounds = new Bounds(limits, maxModelTokens, vocabSize);
    }

    /// The schema of each route's body.
    public Map<Endpoint, ObjectNode> requests() {
        Map<Endpoint, ObjectNode> schemas = new EnumMap<>(Endpoint.class);
        for (Endpoint endpoint : Endpoint.values()) {
            schemas.put(endpoint, request(endpoint));
        }
        return schemas;
    }

    private ObjectNode request(Endpoint endpoint) {
        ObjectNode schema = JSON.objectNode().put("type", "object");
        ObjectNode properties = schema.putObject("properties");
        ArrayNode required = JSON.arrayNode();
        for (Parameter parameter : ParameterTable.of(endpoint)) {
            // what is always refused is nothing to offer
            if (!(parameter.type() instanceof ParameterType.Refused)) {
                properties.set(parameter.name(), describe(parameter));
            }
            if (parameter.required()) {
                required.add(parameter.name());
            }
        }
        if (!required.isEmpty()) {
            schema.set("required", required);
        }
        schema.putArray("examples").addAll(RequestExamples.of(endpoint));
        return schema;
    }

    private ObjectNode describe(Parameter parameter) {
        ObjectNode schema = type(parameter.type());
        schema.put("description", parameter.meaning() + " (default: " + parameter.standard() + ")");
        return schema;
    }

    private ObjectNode type(ParameterType type) {
        return switch (type) {
            case ParameterType.Flag _ -> nullable("boolean");
            case ParameterType.Int range -> nullable("integer").put("minimum", range.min().resolve(bounds))
                    .put("maximum", range.max().resolve(bounds));
            case ParameterType.Decimal range -> nullable("number").put("minimum", range.min()).put("maximum", range.max());
            case ParameterType.Text range -> nullable("string").put("minLength", range.min().resolve(bounds))
                    .put("maxLength", range.max().resolve(bounds));
            case ParameterType.Word word -> {
                ObjectNode schema = JSON.objectNode();
                ArrayNode values = schema.putArray("enum");
                word.values().forEach(values::add);
                values.addNull();
                yield schema;
            }
            case ParameterType.TextList list -> texts(list);
            case ParameterType.TokenIds list -> {
                ObjectNode schema = nullable("array").put("minItems", list.minItems().resolve(bounds))
                        .put("maxItems", list.maxItems().resolve(bounds));
                schema.set("items", tokenId());
                yield schema;
            }
            case ParameterType.LogitBias bias -> {
                ObjectNode schema = nullable("object").put("maxProperties", bias.entries().resolve(bounds));
                schema.putObject("additionalProperties").put("type", "number").put("minimum", bias.min())
                        .put("maximum", bias.max());
                yield schema;
            }
            case ParameterType.Group group -> {
                ObjectNode schema = nullable("object");
                ObjectNode properties = schema.putObject("properties");
                group.fields().stream().filter(field -> !(field.type() instanceof ParameterType.Refused))
                        .forEach(field -> properties.set(field.name(), describe(field)));
                yield schema;
            }
            case ParameterType.Composite composite -> composite(composite);
            case ParameterType.Unused _, ParameterType.Refused _ -> JSON.objectNode();
        };
    }

    private ObjectNode tokenId() {
        return JSON.objectNode().put("type", "integer").put("minimum", 0).put("maximum", bounds.vocabSize() - 1);
    }

    private ObjectNode texts(ParameterType.TextList list) {
        ObjectNode item = JSON.objectNode().put("type", "string").put("minLength", 1)
                .put("maxLength", list.chars().resolve(bounds));
        ObjectNode array = JSON.objectNode().put("type", "array").put("maxItems", list.items().resolve(bounds));
        array.set("items", item);
        ObjectNode schema = JSON.objectNode();
        ArrayNode forms = schema.putArray("anyOf").add(array);
        if (list.single()) {
            forms.add(item);
        }
        forms.addObject().put("type", "null");
        return schema;
    }

    private ObjectNode composite(ParameterType.Composite composite) {
        ObjectNode schema = JSON.objectNode();
        ArrayNode forms = schema.putArray("anyOf");
        for (ParameterType.Shape shape : new TreeSet<>(composite.shapes())) {
            switch (shape) {
                case STRING -> forms.addObject().put("type", "string");
                case ARRAY -> forms.addObject().put("type", "array").put("minItems", composite.min().resolve(bounds))
                        .put("maxItems", composite.max().resolve(bounds));
                case OBJECT -> forms.addObject().put("type", "object").put("minProperties", composite.min().resolve(bounds))
                        .put("maxProperties", composite.max().resolve(bounds));
            }
        }
        forms.addObject().put("type", "null");
        return schema;
    }

    private static ObjectNode nullable(String type) {
        ObjectNode schema = JSON.objectNode();
        schema.putArray("type").add(type).add("null");
        return schema;
    }

    /// The schema of every error body.
    public static ObjectNode error() {
        ObjectNode schema = JSON.objectNode().put("type", "object");
        schema.putArray("required").add("error");
        ObjectNode error = schema.putObject("properties").putObject("error").put("type", "object");
        error.putArray("required").add("message").add("type").add("param").add("code").add("request_id");
        ObjectNode fields = error.putObject("properties");
        fields.putObject("message").put("type", "string");
        fields.putObject("type").put("type", "string");
        fields.set("param", nullable("string"));
        fields.set("code", nullable("string"));
        fields.putObject("request_id").put("type", "string");
        ObjectNode details = fields.putObject("details").put("type", "array").put("maxItems", ApiError.MAX_DETAILS);
        ObjectNode detail = details.putObject("items").put("type", "object").putObject("properties");
        detail.putObject("param").put("type", "string");
        detail.putObject("code").put("type", "string");
        return schema;
    }
}
