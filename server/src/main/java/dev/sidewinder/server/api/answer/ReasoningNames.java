package dev.sidewinder.server.api.answer;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.sidewinder.server.api.ReasoningFields;
import java.io.IOException;

/// Writes reasoning under the names the operator chose.
final class ReasoningNames {

    private ReasoningNames() {}

    static void write(JsonGenerator json, ReasoningFields fields, String text) throws IOException {
        switch (fields) {
            case BOTH -> {
                json.writeStringField("reasoning", text);
                json.writeStringField("reasoning_content", text);
            }
            case REASONING -> json.writeStringField("reasoning", text);
            case REASONING_CONTENT -> json.writeStringField("reasoning_content", text);
            case INLINE -> throw new IllegalStateException("inline reasoning is content by now");
        }
    }
}
