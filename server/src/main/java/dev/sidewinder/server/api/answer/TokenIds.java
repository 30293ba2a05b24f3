package dev.sidewinder.server.api.answer;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;

/// Writes the ids of a report as the field `token_ids`.
final class TokenIds {

    private TokenIds() {}

    static void write(JsonGenerator json, TokenReport report) throws IOException {
        json.writeArrayFieldStart("token_ids");
        for (int i = 0; i < report.size(); i++) {
            json.writeNumber(report.id(i));
        }
        json.writeEndArray();
    }
}
