package dev.sidewinder.server.eval;

import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.Comparator;
import java.util.Optional;

/// JSON as RFC 8259 has it: one value, nothing behind it, no name twice in an object.
final class JsonText {

    private static final ObjectMapper STRICT = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .build();

    /// 1 and 1.0 are one number; all else is equal as Jackson sees it.
    private static final Comparator<JsonNode> BY_VALUE = (first, second) -> first.isNumber() && second.isNumber()
            ? first.decimalValue().compareTo(second.decimalValue())
            : first.equals(second) ? 0 : 1;

    private JsonText() {}

    /// Empty when the text is no JSON.
    static Optional<JsonNode> parse(String text) {
        try {
            return Optional.of(parseOrFail(text));
        } catch (JsonProcessingException notJson) {
            return Optional.empty();
        }
    }

    static JsonNode parseOrFail(String text) throws JsonProcessingException {
        JsonNode value = STRICT.readTree(text);
        if (value.isMissingNode()) {
            throw new JsonParseException(null, "there is no value");
        }
        return value;
    }

    /// Whether two values are the same; the order of an object's members does not count.
    static boolean same(JsonNode first, JsonNode second) {
        return first.equals(BY_VALUE, second);
    }
}
