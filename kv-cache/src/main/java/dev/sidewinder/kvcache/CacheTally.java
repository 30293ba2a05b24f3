package dev.sidewinder.kvcache;

/// Counts what the cache does.
final class CacheTally {

    private long lookups;
    private long hits;
    private long promptTokens;
    private long kvTokens;
    private long reusedTokens;
    private long storedStates;
    private long refusedStates;
    private long takenOverStates;

    /// A sequence was admitted that looked for a prefix.
    void lookup(int prompt, PrefixMatch match) {
        lookups++;
        hits += match.hasState() ? 1 : 0;
        promptTokens += prompt;
        kvTokens += match.kvTokens();
        reusedTokens += match.stateTokens();
    }

    void stored() {
        storedStates++;
    }

    void refused() {
        refusedStates++;
    }

    void takenOver() {
        takenOverStates++;
    }

    CacheCounts counts(long evictedStates) {
        return new CacheCounts(lookups, hits, promptTokens, kvTokens, reusedTokens, storedStates, refusedStates, evictedStates,
                takenOverStates);
    }
}
