package dev.sidewinder.server.api.answer;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.sidewinder.kvcache.CacheExplanation;
import dev.sidewinder.kvcache.MissReason;
import java.io.IOException;
import java.util.Locale;

/// What the prefix cache had for a request, as the client is told. Of several prompts the numbers are summed, and the rest is that
/// of the prompt of which most was left to compute.
///
/// @param kvTokens     prompt tokens whose keys and values were there
/// @param reusedTokens of these, the ones that had a state behind them and were not computed again
/// @param worst        explains the prompt of which most was left to compute
/// @param partition    what divides the cache from others: `tenant` or `tenant+salt`
public record CacheReport(long kvTokens, long reusedTokens, CacheExplanation worst, String partition) {

    void write(JsonGenerator json) throws IOException {
        json.writeObjectFieldStart("sidewinder_cache");
        json.writeNumberField("kv_hit_tokens", kvTokens);
        json.writeNumberField("state_hit_tokens", reusedTokens);
        json.writeNumberField("reused_tokens", reusedTokens);
        json.writeNumberField("recomputed_tokens", kvTokens - reusedTokens);
        json.writeStringField("snapshot", worst.point().map(CacheReport::name).orElse(null));
        json.writeStringField("miss_reason", name(worst.reason()));
        json.writeFieldName("diverged_at");
        if (worst.divergedAt().isPresent()) {
            json.writeNumber(worst.divergedAt().getAsInt());
        } else {
            json.writeNull();
        }
        json.writeStringField("partition", worst.reason() == MissReason.DISABLED ? null : partition);
        json.writeEndObject();
    }

    private static String name(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }
}
