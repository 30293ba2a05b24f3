package dev.sidewinder.server.api;

import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Remembers prompts that made the model produce NaN: the first time a retry may help, the second time it will not. When
/// different prompts fail soon after each other, it is not the prompts. A bounded memory of hashes. Safe for use by many
/// threads.
public final class NumericFailures {

    private static final Duration MEMORY = Duration.ofMinutes(10);
    private static final int MAX_PROMPTS = 1_024;
    private static final Duration DAMAGE_WINDOW = Duration.ofSeconds(60);
    private static final int DAMAGE_PROMPTS = 3;

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
    ///
    /// @param prompts of the request, as token ids
    public synchronized ApiException answer(List<int[]> prompts) {
        Instant now = clock.instant();
        int hash = 1;
        for (int[] prompt : prompts) {
            hash = 31 * hash + Arrays.hashCode(prompt);
        }
        Instant before = failures.put(hash, now);
        boolean again = before != null && before.plus(MEMORY).isAfter(now);
        return ApiErrors.numeric(!again);
    }

    /// Whether so many different prompts failed within a minute that weights or memory must be damaged: only a restart may
    /// help.
    public synchronized boolean showDamage() {
        Instant since = clock.instant().minus(DAMAGE_WINDOW);
        return failures.values().stream().filter(since::isBefore).limit(DAMAGE_PROMPTS).count() == DAMAGE_PROMPTS;
    }
}
