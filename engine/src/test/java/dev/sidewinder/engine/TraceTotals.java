package dev.sidewinder.engine;

import dev.sidewinder.scheduler.Preemptions;

/// What happened in one trace or several, so that a test can say that there was something to find.
///
/// @param checks     of all books, each after a step or a deed between two steps
/// @param suspended  sequences that went to the host area
/// @param recomputed sequences that were dropped and computed again
/// @param resets     of the prefix cache, in part or whole
/// @param reused     prompt tokens that were not computed, of requests
/// @param turns      requests of sessions
/// @param forks      of sessions
public record TraceTotals(long checks, long suspended, long recomputed, long resets, long reused, long turns, long forks) {

    static final TraceTotals NONE = new TraceTotals(0, 0, 0, 0, 0, 0, 0);

    static TraceTotals of(long checks, Preemptions preemptions, long resets, long reused, long turns, long forks) {
        return new TraceTotals(checks, preemptions.copied(), preemptions.recomputed(), resets, reused, turns, forks);
    }

    TraceTotals plus(TraceTotals more) {
        return new TraceTotals(checks + more.checks, suspended + more.suspended, recomputed + more.recomputed, resets + more.resets,
                reused + more.reused, turns + more.turns, forks + more.forks);
    }
}
