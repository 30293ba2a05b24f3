package dev.sidewinder.bench.simulate;

import java.io.PrintStream;
import java.util.List;
import java.util.Locale;

/// Results as text.
final class ResultTable {

    private ResultTable() {}

    static void print(SimulationResult result, PrintStream out) {
        out.printf(Locale.ROOT, "%n%s%n", result.policy().name());
        out.printf(Locale.ROOT, "  %-10s %8s %7s %9s %6s %7s   %-26s %-29s %s%n", "requests", "ended", "refused", "prompt", "reused",
                "history", "first token, s", "gap between tokens, ms", "request, s");
        out.printf(Locale.ROOT, "  %-10s %8s %7s %9s %6s %7s   %8s %8s %8s %7s %6s %6s %7s %8s %7s%n", "", "", "", "mean", "%", "%",
                "50 %", "90 %", "99 %", "50 %", "99 %", "99.9 %", "most", "50 %", "99 %");
        for (GroupStats group : result.groups()) {
            out.printf(Locale.ROOT, "  %-10s %,8d %,7d %,9.0f %6.1f %7.1f   %8.3f %8.3f %8.3f %7.1f %6.1f %6.1f %7.0f %8.2f %7.2f%n", group.name(),
                    group.finished, group.refused, (double) group.promptTokens / Math.max(1, group.finished),
                    100 * group.hitRate(), 100 * group.historyHitRate(), group.firstTokenSeconds.percentile(50),
                    group.firstTokenSeconds.percentile(90), group.firstTokenSeconds.percentile(99),
                    1000 * group.gapSeconds.percentile(50), 1000 * group.gapSeconds.percentile(99),
                    1000 * group.gapSeconds.percentile(99.9), 1000 * group.gapSeconds.max(),
                    group.requestSeconds.percentile(50), group.requestSeconds.percentile(99));
        }
        printReuse(result, out);
        SimulationResult.Rates rates = result.rates();
        out.printf(Locale.ROOT, "  tokens a second: %,.0f generated, %,.0f of prompts computed, %,.0f of prompts reused%n", rates.generated(),
                rates.computedPrompt(), rates.reusedPrompt());
        SimulationResult.Work work = result.work();
        out.printf(Locale.ROOT, "  device: %,d steps, busy %.0f of %.0f s: generated tokens %.0f, prompts %.0f, both %.0f, copies %.1f%n",
                work.steps(),
                work.busySeconds(), result.endSeconds(), work.generatedSeconds(), work.promptSeconds(), work.mixedSeconds(),
                work.copySeconds());
        var counts = result.cache().counts();
        out.printf(Locale.ROOT, "  caches: %,d states kept, %,d refused, %,d evicted, %,d blocks moved; %,d suspensions%n", counts.storedStates(),
                counts.refusedStates(), counts.evictedStates(), result.cache().frames().movedBlocks(), work.suspensions());
        var prepared = work.preparations();
        if (prepared.begun() > 0) {
            out.printf(Locale.ROOT, "  preparations: %,d, of which %,d done and %,d overtaken by their prompts, %,d dropped; %,d tokens computed for them%n",
                    prepared.begun(), prepared.done(), prepared.overtaken(), prepared.dropped(), prepared.tokens());
        }
    }

    /// Of what conversations bring along.
    private static void printReuse(SimulationResult result, PrintStream out) {
        if (!result.policy().uses(Policy.Part.REUSE)) {
            return;
        }
        out.printf(Locale.ROOT, "  %-10s", "reused, %");
        ReuseByTurn.TURNS.forEach(turns -> out.printf(Locale.ROOT, " %12s", "turn " + turns.name()));
        out.printf(Locale.ROOT, " %14s %14s   %s%n", "after users", "after tools", "first token after users, s: mean, 50 %, 99 %");
        for (GroupStats group : result.groups()) {
            out.printf(Locale.ROOT, "  %-10s", group.name());
            group.reuse.byTurn().forEach(tokens -> out.printf(Locale.ROOT, " %12s", percent(tokens)));
            Samples afterUsers = group.firstTokenAfterUsersSeconds;
            out.printf(Locale.ROOT, " %14s %14s   %8.3f %8.3f %8.3f%n", percent(group.reuse.afterUsers()), percent(group.reuse.afterTools()),
                    afterUsers.mean(), afterUsers.percentile(50), afterUsers.percentile(99));
        }
    }

    private static String percent(ReuseByTurn.Tokens tokens) {
        return tokens.brought == 0 ? "-" : String.format(Locale.ROOT, "%.1f", 100 * tokens.rate());
    }

    /// One line for each policy, held against the first.
    static void printComparison(List<SimulationResult> results, PrintStream out) {
        out.printf(Locale.ROOT, "%n| policy | ended | refused | tok/s | of prompts reused | first token 50 / 99 %%, s | gap 50 / 99 / 99.9 %%, ms |"
                + " request 50 %%, s | prompt tok/s computed | suspended |%n|---|---|---|---|---|---|---|---|---|---|%n");
        for (SimulationResult result : results) {
            GroupStats all = result.all();
            out.printf(Locale.ROOT, "| %s | %,d | %,d | %,.0f | %.1f %% | %.2f / %.2f | %.1f / %.0f / %.0f | %.1f | %,.0f | %,d |%n",
                    result.policy().name(), all.finished, all.refused, result.rates().generated(), 100 * all.hitRate(),
                    all.firstTokenSeconds.percentile(50), all.firstTokenSeconds.percentile(99),
                    1000 * all.gapSeconds.percentile(50), 1000 * all.gapSeconds.percentile(99), 1000 * all.gapSeconds.percentile(99.9),
                    all.requestSeconds.percentile(50), result.rates().computedPrompt(), result.work().suspensions());
        }
    }
}
