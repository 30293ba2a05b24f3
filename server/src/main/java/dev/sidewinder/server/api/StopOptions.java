package dev.sidewinder.server.api;

import java.util.List;

/// What ends an answer besides its maximum.
///
/// @param strings         texts that end it; not looked for in reasoning
/// @param includeInOutput whether the stop string stays in the text
/// @param tokenIds        added to the model's stop set
/// @param ignoreEos       whether the model's stop set is ignored
public record StopOptions(List<String> strings, boolean includeInOutput, List<Integer> tokenIds, boolean ignoreEos) {
    public StopOptions {
        strings = List.copyOf(strings);
        tokenIds = List.copyOf(tokenIds);
    }
}
