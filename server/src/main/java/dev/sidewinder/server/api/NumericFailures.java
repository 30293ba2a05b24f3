package dev.sidewinder.server.api;

import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/// Remembers prompts that made the model produce NaN: the first time a retry may help, the second time it will not. A
/// bounded memory. Safe for use by many threads.
public final class NumericFailures {

    private static final Duration MEMORY = Duration.ofMinutes(10);
    private static final int MAX_PROMPTS = 1_024;

    private final InstantSource clock;
    private final Map<Integer, Instant> failures = new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Integer, Instant> eldest) {
            return size() > MAX_PROMPTS;
        }
    };

    public NumericFailures(InstantSource clock) {
        this.clock = clock;
    }

    /// The answer to such a failure, and notes it.
    public synchronized ApiException answer(int[] prompt) {
        Instant now = clock.instant();
        Instant before = failures.put(Arrays.hashCode(prompt), now);
        boolean again = before != null && before.plus(MEMORY).isAfter(now);
        return ApiErrors.numeric(!again);
    }
}
