package dev.sidewinder.kvcache;

import dev.sidewinder.kvcache.CacheCounts.LookupCounts;
import dev.sidewinder.kvcache.CacheCounts.StateCounts;
import java.util.EnumMap;
import java.util.Map;

/// Counts what the cache does.
final class CacheTally {

    private static final int POINTS = CheckpointPoint.values().length;
    private static final int REASONS = MissReason.values().length;

    private long promptTokens;
    private long kvTokens;
    private long reusedTokens;
    private long takenOverStates;
    /// By why a lookup found no more.
    private final long[] partly = new long[REASONS];
    private final long[] missed = new long[REASONS];
    /// By why a state is kept.
    private final long[] stored = new long[POINTS];
    private final long[] restored = new long[POINTS];
    private final long[] evicted = new long[POINTS];
    private final long[] refused = new long[POINTS];

    /// What was told last; null when something has happened since.
    private CacheCounts last;

    /// A sequence was admitted that looked for a prefix.
    ///
    /// @param found what there was for it
    void lookup(int prompt, CacheExplanation found) {
        promptTokens += prompt;
        kvTokens += found.kvTokens();
        reusedTokens += found.reusedTokens();
        (found.reusedTokens() > 0 ? partly : missed)[found.reason().ordinal()]++;
        found.point().ifPresent(point -> restored[point.ordinal()]++);
        last = null;
    }

    /// A sequence was admitted that uses no prefixes.
    void noLookup() {
        missed[MissReason.DISABLED.ordinal()]++;
        last = null;
    }

    void stored(CheckpointPoint point) {
        stored[point.ordinal()]++;
        last = null;
    }

    void refused(CheckpointPoint point) {
        refused[point.ordinal()]++;
        last = null;
    }

    void evicted(CheckpointPoint point) {
        evicted[point.ordinal()]++;
        last = null;
    }

    void takenOver() {
        takenOverStates++;
        last = null;
    }

    /// Costs nothing where nothing has happened since the last time.
    CacheCounts counts() {
        if (last == null) {
            Map<MissReason, LookupCounts> lookups = new EnumMap<>(MissReason.class);
            for (MissReason reason : MissReason.values()) {
                lookups.put(reason, new LookupCounts(partly[reason.ordinal()], missed[reason.ordinal()]));
            }
            Map<CheckpointPoint, StateCounts> states = new EnumMap<>(CheckpointPoint.class);
            for (CheckpointPoint point : CheckpointPoint.values()) {
                int i = point.ordinal();
                states.put(point, new StateCounts(stored[i], restored[i], evicted[i], refused[i]));
            }
            last = new CacheCounts(lookups, promptTokens, kvTokens, reusedTokens, states, takenOverStates);
        }
        return last;
    }
}
