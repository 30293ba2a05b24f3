package dev.sidewinder.server.api.answer;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;

/// Tokens of a request; equal to what the metrics count.
///
/// @param promptTokens     over all prompts, each counted once however many choices it has
/// @param completionTokens over all choices, stop tokens included
/// @param reasoningTokens  those of the completion up to and including the end of the reasoning
/// @param cachedTokens     prompt tokens that were not computed again
public record Usage(long promptTokens, long completionTokens, long reasoningTokens, long cachedTokens) {

    /// @param explain whether to say what the prefix cache did
    void write(JsonGenerator json, boolean explain) throws IOException {
        json.writeStartObject();
        json.writeNumberField("prompt_tokens", promptTokens);
        json.writeNumberField("completion_tokens", completionTokens);
        json.writeNumberField("total_tokens", promptTokens + completionTokens);
        json.writeObjectFieldStart("prompt_tokens_details");
        json.writeNumberField("cached_tokens", cachedTokens);
        json.writeEndObject();
        json.writeObjectFieldStart("completion_tokens_details");
        json.writeNumberField("reasoning_tokens", reasoningTokens);
        json.writeEndObject();
        if (explain) {
            writeCache(json);
        }
        json.writeEndObject();
    }

    /// This build reuses no prefixes, and says so.
    private static void writeCache(JsonGenerator json) throws IOException {
        json.writeObjectFieldStart("sidewinder_cache");
        json.writeNumberField("kv_hit_tokens", 0);
        json.writeNumberField("state_hit_tokens", 0);
        json.writeNumberField("reused_tokens", 0);
        json.writeNumberField("recomputed_tokens", 0);
        json.writeNullField("snapshot");
        json.writeStringField("miss_reason", "disabled");
        json.writeNullField("diverged_at");
        json.writeNullField("partition");
        json.writeEndObject();
    }
}
