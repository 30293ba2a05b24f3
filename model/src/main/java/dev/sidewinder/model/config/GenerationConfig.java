package dev.sidewinder.model.config;

import java.util.Set;

/// What `generation_config.json` says, or the defaults where there is none.
///
/// @param stopTokenIds tokens that end an answer; `config.json` fills in when the file is missing
/// @param temperature  default when a request names none
/// @param topP         default when a request names none
/// @param topK         default when a request names none; 0 = off
public record GenerationConfig(Set<Integer> stopTokenIds, double temperature, double topP, int topK) {
    public GenerationConfig {
        stopTokenIds = Set.copyOf(stopTokenIds);
    }
}
