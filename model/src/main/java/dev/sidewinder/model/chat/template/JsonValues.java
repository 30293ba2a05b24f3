package dev.sidewinder.model.chat.template;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// JSON as values of a template. All text counts as the conversation's.
final class JsonValues {
    private JsonValues() {}

    static Value of(JsonNode node) {
        return of(node, 0);
    }

    private static Value of(JsonNode node, int depth) {
        Budget.checkValueDepth(depth);
        return switch (node.getNodeType()) {
            case STRING -> Value.of(node.textValue());
            case BOOLEAN -> Value.of(node.booleanValue());
            case NUMBER -> node.isIntegralNumber() ? Numbers.integer(node.bigIntegerValue()) : new Value.Real(node.doubleValue());
            case NULL, MISSING -> Value.NONE;
            case ARRAY -> {
                List<Value> items = new ArrayList<>(node.size());
                for (JsonNode item : node) {
                    items.add(of(item, depth + 1));
                }
                yield Value.list(items);
            }
            case OBJECT -> {
                Dict dict = new Dict();
                for (Map.Entry<String, JsonNode> field : node.properties()) {
                    dict.put(field.getKey(), of(field.getValue(), depth + 1));
                }
                yield dict;
            }
            case BINARY, POJO -> throw new IllegalArgumentException("a " + node.getNodeType() + " node is no JSON");
        };
    }
}
