package dev.sidewinder.server.api.answer;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.Optional;

/// Tokens of a request; equal to what the metrics count.
///
/// @param promptTokens     over all prompts, each counted once however many choices it has
/// @param completionTokens over all choices, stop tokens included
/// @param reasoningTokens  those of the completion up to and including the end of the reasoning
/// @param cachedTokens     prompt tokens that were not computed again
/// @param cache            what the prefix cache did, where the request asked for it
public record Usage(long promptTokens, long completionTokens, long reasoningTokens, long cachedTokens,
        Optional<CacheReport> cache) {

    /// Of an answer that has not begun.
    public static final Usage NONE = new Usage(0, 0, 0, 0, Optional.empty());

    void write(JsonGenerator json) throws IOException {
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
        if (cache.isPresent()) {
            cache.get().write(json);
        }
        json.writeEndObject();
    }
}
