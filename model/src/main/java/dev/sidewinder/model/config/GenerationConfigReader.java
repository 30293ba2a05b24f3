package dev.sidewinder.model.config;

import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.Set;

/// Reads `generation_config.json`.
///
/// Its stop tokens are the ones to use: a published `config.json` names the end of a document (2) and leaves out the
/// end of a turn (11).
public final class GenerationConfigReader {

    private GenerationConfigReader() {}

    /// @param content the file, or empty when the checkpoint has none: stop tokens then come from `config.json`
    public static GenerationConfig read(String file, Optional<byte[]> content, ModelConfig config) {
        if (content.isEmpty()) {
            return new GenerationConfig(new LinkedHashSet<>(config.eosTokenIds()), 1, 1, 0);
        }
        JsonFields fields = JsonFile.parse(file, content.get());
        Set<Integer> stops = new LinkedHashSet<>(fields.integers(0, config.vocabSize() - 1, "eos_token_id"));
        return new GenerationConfig(
                stops.isEmpty() ? new LinkedHashSet<>(config.eosTokenIds()) : stops,
                fields.numberOr(1, 0, 1e6, "temperature"),
                fields.numberOr(1, Math.nextUp(0.0), 1, "top_p"),
                Math.max(0, fields.integerOr(0, -1, Integer.MAX_VALUE, "top_k")));
    }
}
