package dev.sidewinder.bench.simulate;

import dev.sidewinder.kvcache.CacheUse;
import dev.sidewinder.scheduler.PreparationCounts;
import java.util.List;

/// What came of a run.
///
/// @param policy     what was used
/// @param groups     all requests first, then those of each kind
/// @param tenants    requests of each tenant
/// @param rates      throughput while requests came, warm-up excluded
/// @param work       what the device did, in all
/// @param cache      of the caches at the end, with their counts
/// @param timeline   what happened when
/// @param endSeconds when the last request ended
record SimulationResult(Policy policy, List<GroupStats> groups, List<GroupStats> tenants, Rates rates, Work work, CacheUse cache,
        List<Timeline.Point> timeline, double endSeconds) {

    /// Tokens a second.
    record Rates(double generated, double computedPrompt, double reusedPrompt) {}

    /// What kept the device busy.
    ///
    /// @param generatedSeconds passes over generated tokens
    /// @param promptSeconds    passes over pieces of prompts
    /// @param mixedSeconds     passes over both
    /// @param copySeconds      copies of states and blocks
    /// @param suspensions      sequences copied to the host
    /// @param lateCompletions  rows of steps whose sequence had ended meanwhile
    /// @param preparations     of prompts that were expected
    record Work(long steps, double generatedSeconds, double promptSeconds, double mixedSeconds, double copySeconds, long suspensions,
            long lateCompletions, PreparationCounts preparations) {

        double busySeconds() {
            return generatedSeconds + promptSeconds + mixedSeconds + copySeconds;
        }
    }

    GroupStats all() {
        return groups.getFirst();
    }
}
